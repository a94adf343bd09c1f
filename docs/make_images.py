"""Draw the pictures of docs/images, all or those named. `make images` draws all. The report needs Chromium.

Example:
    PYTHONPATH=. python docs/make_images.py actor explain people
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import tempfile
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from benchmarks.synthetic.bag_writer import ImageBag
from fluxformer_core.actor import ACTIONS, DEMO_SCRIPT, ActorStyle, Performance, Stage, rehearse
from fluxformer_core.bundle import Bundle, default_bundle_path
from fluxformer_core.cli import main as fluxformer
from fluxformer_core.render.explanation_writer import ExplanationWriter
from fluxformer_core.render.overlay import draw_views
from fluxformer_core.stream.config import RecognizerConfig
from fluxformer_core.stream.recognizer import Recognizer
from fluxformer_core.types import SECOND, Pixels

Picture = npt.NDArray[np.uint8]


def actor(out: Path) -> None:
    """Every action of the rendered actor: a row of moments in colour above the same moments in depth."""
    gap = (0, 0), (0, 8), (0, 0)
    strips = [np.pad(_strip(label, seed), gap, constant_values=255) for seed, label in enumerate(ACTIONS)]
    rows = [np.hstack(strips[first : first + 3])[:, :-8] for first in range(0, len(strips), 3)]
    cv2.imwrite(str(out), np.vstack(rows), [cv2.IMWRITE_PNG_COMPRESSION, 9])


def _strip(label: str, seed: int, tile: int = 60, caption: int = 14) -> Picture:
    """The name of an action, and six moments spread over the action in colour and in depth, BGR."""
    person = ActorStyle.sample_recording(seed)
    style = replace(person, noise=0.0, depth_background="none", background="room", fill=1.0, cropped=True)
    rows = []
    for mode in ("colour", "depth"):
        film = rehearse(label, seed, style=style, mode=mode, size=(2 * tile, 2 * tile), rate=30.0)
        (performance,) = film.script
        moments = np.linspace(performance.start, performance.end, 8)[1:-1]
        images = [film.frame(round(moment * film.rate)) for moment in moments]
        shown = [image[..., ::-1] for image in images] if mode == "colour" else _shaded(images)
        rows.append(np.hstack([cv2.resize(image, (tile, tile), interpolation=cv2.INTER_AREA) for image in shown]))
    title = np.full((caption, rows[0].shape[1], 3), 255, np.uint8)
    cv2.putText(title, label, (2, caption - 4), cv2.FONT_HERSHEY_SIMPLEX, 0.36, (0, 0, 0), 1, cv2.LINE_AA)
    return np.vstack([title, *rows])


def _shaded(images: list[npt.NDArray[np.uint16]]) -> list[Picture]:
    """Depth as grey: near is bright, missing depth is black."""
    stack = np.stack(images).astype(float)
    near, far = np.percentile(stack[stack > 0], (1, 99))
    grey = np.where(stack > 0, np.clip(255 - 191 * (stack - near) / (far - near), 64, 255), 0).astype(np.uint8)
    return [cv2.cvtColor(image, cv2.COLOR_GRAY2BGR) for image in grey]


def explain(out: Path) -> None:
    """The window and the selected frames at the end of an action."""
    recognizer = Recognizer(Bundle.load(default_bundle_path()))
    with tempfile.TemporaryDirectory() as folder:
        writer = ExplanationWriter(Path(folder))
        for time, image in Stage((Performance("squat", 1.2, 3.4),), size=(240, 320)):
            stamp = round(time * SECOND)
            writer.update(recognizer.push(image, stamp), stamp, recognizer)
        writer.close(recognizer.close())
        shutil.copyfile(max(Path(folder).iterdir()), out)


def people(out: Path) -> None:
    """The overlay of two rendered actors whom the nets have found, 2.5 s after the start."""
    side, scripts = 320, [Performance("wave", 0.6, 3.0), Performance("squat", 2.0, 3.4)]
    recognizer = Recognizer(Bundle.load(default_bundle_path()), RecognizerConfig(view="person"))
    stages = [Stage([act], seed=seed, size=(side, side), duration=2.5) for seed, act in enumerate(scripts)]
    for frames in zip(*stages, strict=True):
        image = np.concatenate([frame for _, frame in frames], axis=1)
        recognizer.push(image, SECOND + round(frames[0][0] * SECOND))
    cv2.imwrite(str(out), draw_views(image, recognizer.views)[..., ::-1])


def report(out: Path) -> None:
    """The page of an evaluated bag that shows the rendered actor."""
    topic, start = "/camera/image_raw", 1_000 * SECOND
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if browser is None:
        raise SystemExit("the picture of the report needs Chromium")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with ImageBag(folder / "actor", compressed=True) as bag:
            for time, image in Stage(DEMO_SCRIPT, size=(240, 320)):
                bag.write(topic, image, Pixels.RGB, start + round(time * SECOND))
        lines = [f"actor,{topic},{act.start},{act.end},{act.label}" for act in DEMO_SCRIPT]
        truth, page = folder / "truth.csv", folder / "report.html"
        truth.write_text("\n".join(["bag,topic,start,end,label", *lines]) + "\n")
        if fluxformer(["evaluate", str(folder / "actor"), "--truth", str(truth), "--report", str(page)]):
            raise SystemExit("the bag was not evaluated")
        options = ["--headless", "--no-sandbox", "--hide-scrollbars", "--window-size=1100,1600"]
        subprocess.run([browser, *options, f"--screenshot={out.resolve()}", page.as_uri()], check=True)


def main() -> None:
    """Draw the pictures."""
    pictures = {draw.__name__: draw for draw in (actor, explain, people, report)}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(pictures)} (default: all)")
    names = parser.parse_args().names or list(pictures)
    if unknown := set(names) - set(pictures):
        parser.error(f"there is no picture {', '.join(sorted(unknown))}")
    folder = Path(__file__).parent / "images"
    folder.mkdir(exist_ok=True)
    for name in names:
        pictures[name](folder / f"{name}.png")
        print(f"{folder / name}.png", flush=True)


if __name__ == "__main__":
    main()
