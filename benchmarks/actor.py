"""Milliseconds that the rendered actor takes per frame, on one core.

Example:
    python benchmarks/actor.py --frames 200
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace

import cv2
import numpy as np

from fluxformer_core.actor import DEMO_SCRIPT, ActorStyle, Stage


def measure(stage: Stage, frames: int) -> dict[str, float]:
    """Draw frames spread over the script; percentiles in ms of processor time, which other processes do not disturb."""
    spent = []
    for index in np.linspace(0, len(stage) - 1, frames).astype(int):
        begin = time.process_time()
        stage.frame(int(index))
        spent.append(1e3 * (time.process_time() - begin))
    return {f"p{share}": round(float(np.percentile(spent, share)), 2) for share in (50, 90, 99)}


def main() -> None:
    """Print one line of JSON per size, mode and amount of camera noise."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=150, help="frames per case (default: %(default)s)")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    for size in ((128, 128), (480, 640)):
        for mode in ("depth", "colour"):
            for noise in (0.0, 1.0):
                style = replace(ActorStyle(), noise=noise)
                stage = Stage(DEMO_SCRIPT, size=size, mode=mode, style=style)
                case = {"size": f"{size[1]}x{size[0]}", "mode": mode, "noise": noise}
                print(json.dumps({**case, "ms_per_frame": measure(stage, arguments.frames)}))


if __name__ == "__main__":
    main()
