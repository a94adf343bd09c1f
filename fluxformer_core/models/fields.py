"""What the fields of the models' configurations may be, and how a clip and the strides of a net must agree."""

from __future__ import annotations

import math
from typing import Annotated

from pydantic import Field

Grid = tuple[int, int, int]
"""Tokens along time, height and width."""

AtLeastOne = Annotated[int, Field(ge=1)]
Stride = tuple[AtLeastOne, AtLeastOne, AtLeastOne]
"""Along time, height and width."""
Depths = Annotated[tuple[AtLeastOne, ...], Field(min_length=1)]
"""Blocks of each stage."""
BelowOne = Annotated[float, Field(ge=0, lt=1)]
LayerScale = Annotated[float, Field(gt=0, le=1)] | None
"""Start of the learned scale on a block's contribution to the residual path; None: no scale."""

MOST_FRAMES, LARGEST = 1024, 4096
"""Limits of a clip: a damaged file may name a size that does not fit into memory."""


def clip_problems(frames: int, size: int, stem_stride: Grid, stem_widths: tuple[int, ...], stages: int) -> list[str]:
    """Contradictions between a clip and the strides of a net, in words.

    `stem_stride` leads from the clip to the first stage's grid; each convolution of `stem_widths` takes a factor of 2
    of that stride. Each of the stages after the first halves the grid's height and width.
    """
    if any(s % 2 ** len(stem_widths) for s in stem_stride[1:]):
        return [f"stem_widths {stem_widths} must each halve stem_stride {stem_stride}"]
    if not (1 <= frames <= MOST_FRAMES and 1 <= size <= LARGEST):
        return [f"a clip has 1 to {MOST_FRAMES} frames of 1 to {LARGEST} px, not {frames} of {size} px"]
    steps = [s * 2 ** (stages - 1) for s in stem_stride[1:]]
    if frames % stem_stride[0] or any(size % step for step in steps):
        return [
            f"a clip of {frames} frames of {size} px does not divide by the model's strides: "
            f"frames by {stem_stride[0]}, size by {math.lcm(*steps)}"
        ]
    return []
