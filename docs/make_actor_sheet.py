"""Draw docs/images/actor.png: every action of the rendered actor, a row of moments in colour above the same in depth.

Example:
    python docs/make_actor_sheet.py
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from fluxformer_core.actor import ACTIONS, ActorStyle, rehearse

MOMENTS = 6
TILE = 60  # px
COLUMNS = 3
CAPTION = 14  # px

Picture = npt.NDArray[np.uint8]


def strip(label: str, seed: int) -> Picture:
    """One action, BGR: its name, and moments spread over its movement in colour and in depth."""
    person = ActorStyle.sample_recording(seed)
    style = replace(person, noise=0.0, depth_background="none", background="room", fill=1.0, cropped=True)
    rows = []
    for mode in ("colour", "depth"):
        film = rehearse(label, seed, style=style, mode=mode, size=(2 * TILE, 2 * TILE), rate=30.0)
        (performance,) = film.script
        moments = np.linspace(performance.start, performance.end, MOMENTS + 2)[1:-1]
        images = [film.frame(round(moment * film.rate)) for moment in moments]
        shown = [image[..., ::-1] for image in images] if mode == "colour" else shaded(images)
        rows.append(np.hstack([cv2.resize(image, (TILE, TILE), interpolation=cv2.INTER_AREA) for image in shown]))
    caption = np.full((CAPTION, rows[0].shape[1], 3), 255, np.uint8)
    cv2.putText(caption, label, (2, CAPTION - 4), cv2.FONT_HERSHEY_SIMPLEX, 0.36, (0, 0, 0), 1, cv2.LINE_AA)
    return np.vstack([caption, *rows])


def shaded(images: list[npt.NDArray[np.uint16]]) -> list[Picture]:
    """Depth as grey: near is bright, no reading is black."""
    stack = np.stack(images).astype(float)
    near, far = np.percentile(stack[stack > 0], (1, 99))
    grey = np.where(stack > 0, np.clip(255 - 191 * (stack - near) / (far - near), 64, 255), 0).astype(np.uint8)
    return [cv2.cvtColor(image, cv2.COLOR_GRAY2BGR) for image in grey]


def main() -> None:
    """Write the sheet."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = Path(__file__).parent / "images" / "actor.png"
    parser.add_argument("--output", type=Path, default=default, help="default: %(default)s")
    output = parser.parse_args().output
    strips = [strip(label, seed) for seed, label in enumerate(ACTIONS)]
    gap = np.full((strips[0].shape[0], 8, 3), 255, np.uint8)
    rows = []
    for first in range(0, len(strips), COLUMNS):
        row = [piece for entry in strips[first : first + COLUMNS] for piece in (entry, gap)][:-1]
        rows.append(np.hstack(row))
    output.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(output), np.vstack(rows), [cv2.IMWRITE_PNG_COMPRESSION, 9])


if __name__ == "__main__":
    main()
