"""Augmentation that changes nothing."""

from __future__ import annotations

from fluxformer_core.augment.config import AugmentConfig

PLAIN = AugmentConfig(
    partial=0.0,
    midway=0.0,
    rotated_view=0.0,
    dropped=0.0,
    scale=(1.0, 1.0),
    aspect=0.0,
    shift=0.0,
    rotation=0.0,
    tempo=(1.0, 1.0),
    flip=0.0,
    colourised=0.0,
    with_background=0.0,
    contrast=0.0,
    recolour=0.0,
    grey=0.0,
    flicker=0.0,
    soft=0.0,
    noise=0.0,
    flow_noise=0.0,
    moving_camera=0.0,
    crossing=0.0,
    other=0.0,
)
"""Every clip as it was recorded."""
