"""Draw docs/images/explain.png: what the recogniser held and chose when the rendered actor had done an action.

Example:
    python docs/make_explanation.py
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path

from fluxformer_core.actor import Performance, Stage
from fluxformer_core.bundle import Bundle, default_bundle_path
from fluxformer_core.render.explanation_writer import ExplanationWriter
from fluxformer_core.stream.recognizer import Recognizer
from fluxformer_core.types import SECOND

SCRIPT = (Performance("squat", 1.2, 3.4),)


def main() -> None:
    """Write the last picture of the action."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "images" / "explain.png")
    arguments = parser.parse_args()
    recognizer = Recognizer(Bundle.load(default_bundle_path()))
    with tempfile.TemporaryDirectory() as folder:
        writer = ExplanationWriter(Path(folder))
        for time, image in Stage(SCRIPT, size=(240, 320)):
            stamp = round(time * SECOND)
            writer.update(recognizer.push(image, stamp), stamp, recognizer)
        writer.close(recognizer.close())
        shutil.copyfile(max(Path(folder).iterdir()), arguments.out)


if __name__ == "__main__":
    main()
