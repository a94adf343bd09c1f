"""Draw docs/images/report.png: the page of an evaluated bag, of the rendered actor. Needs Chromium.

Example:
    python docs/make_report.py --browser chromium
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
from pathlib import Path

from benchmarks.synthetic.bag_writer import ImageBag
from fluxformer_core.actor import DEMO_SCRIPT, Stage
from fluxformer_core.cli import main as fluxformer
from fluxformer_core.types import SECOND, Pixels

START = 1_000 * SECOND  # ns: stamp of the bag's first image
TOPIC = "/camera/image_raw"


def main() -> None:
    """Record, evaluate, and take a picture of the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "images" / "report.png")
    parser.add_argument("--browser", default="chromium", help="(default: %(default)s)")
    parser.add_argument("--size", default="1100,1600", help="of the picture, in px (default: %(default)s)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with ImageBag(folder / "actor", compressed=True) as bag:
            for time, image in Stage(DEMO_SCRIPT, size=(240, 320)):
                bag.write(TOPIC, image, Pixels.RGB, START + round(time * SECOND))
        lines = [f"actor,{TOPIC},{act.start},{act.end},{act.label}" for act in DEMO_SCRIPT]
        truth, page = folder / "truth.csv", folder / "report.html"
        truth.write_text("\n".join(["bag,topic,start,end,label", *lines]) + "\n")
        if fluxformer(["evaluate", str(folder / "actor"), "--truth", str(truth), "--report", str(page)]):
            raise SystemExit("the bag was not evaluated")
        options = ["--headless", "--no-sandbox", "--hide-scrollbars", f"--window-size={arguments.size}"]
        subprocess.run(
            [arguments.browser, *options, f"--screenshot={arguments.out.resolve()}", page.as_uri()], check=True
        )


if __name__ == "__main__":
    main()
