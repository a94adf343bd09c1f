"""Draw docs/images/people.png: the overlay while two rendered actors are told apart.

Example:
    python docs/make_people.py
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np

from fluxformer_core.actor import Performance, Stage
from fluxformer_core.bundle import Bundle, default_bundle_path
from fluxformer_core.people.square import Person
from fluxformer_core.people.tracks import PeopleConfig
from fluxformer_core.render.overlay import draw_overlay, visible
from fluxformer_core.stream.recognizer import Recognizer
from fluxformer_core.types import SECOND, Pixels

SIDE = 240  # px
SCRIPTS = {"ann": Performance("wave", 0.6, 3.0), "bob": Performance("squat", 2.0, 3.4)}
END = 2.5  # s


def main() -> None:
    """Write the picture of the moment END."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "images" / "people.png")
    arguments = parser.parse_args()
    recognizer = Recognizer(Bundle.load(default_bundle_path()), people=PeopleConfig())
    stages = [Stage([act], mode="depth", size=(SIDE, SIDE), duration=END) for act in SCRIPTS.values()]
    boxes = [
        Person(name, (SIDE * i + 0.3 * SIDE, 0.1 * SIDE, SIDE * i + 0.7 * SIDE, 0.9 * SIDE))
        for i, name in enumerate(SCRIPTS)
    ]
    for frames in zip(*stages, strict=True):
        image = np.concatenate([frame for _, frame in frames], axis=1)
        recognizer.push(image, SECOND + round(frames[0][0] * SECOND), Pixels.DEPTH, boxes)
    shown = next(view for view in recognizer.views if view.event is not None)
    picture = draw_overlay(
        visible(image, Pixels.DEPTH, recognizer.model.spec.depth_range),
        recognition=shown.recognition,
        event=shown.event,
        selection=shown.clip,
        people=recognizer.views,
    )
    cv2.imwrite(str(arguments.out), picture[..., ::-1])


if __name__ == "__main__":
    main()
