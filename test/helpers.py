"""Models that are small enough to run in milliseconds, and moving pictures, for tests of several folders."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from fluxformer_core.bundle import Bundle, Metadata
from fluxformer_core.io.video_writer import VideoRecorder
from fluxformer_core.models.fluxformer.fluxformer import Fluxformer, FluxformerConfig
from fluxformer_core.models.fluxformer.mvit import MViTConfig
from fluxformer_core.types import SECOND, ClipSpec

FRAMES, SIZE = 4, 32
LABELS = ("clap", "wave", "walk")


def small_config(*, trunk: dict[str, Any] | None = None, **changes: Any) -> FluxformerConfig:
    """Every part of the architecture, two blocks deep: a duplex stage, a transition, clustering tokens."""
    shape: dict[str, Any] = {"frames": FRAMES, "size": SIZE, "depths": (1, 1), "dim": 16, "kv_stride": 2}
    settings: dict[str, Any] = {"clusters": 3, "final_heads": 4, "gate": 1.0}
    return FluxformerConfig(MViTConfig(**shape | (trunk or {})), **settings | changes)


def small_model(config: FluxformerConfig, *, seed: int = 0, classes: int = len(LABELS)) -> Fluxformer:
    torch.manual_seed(seed)
    return Fluxformer(config, classes).eval()


def small_spec(**changes: Any) -> ClipSpec:
    return ClipSpec(**{"frames": FRAMES, "size": SIZE, "window": 24} | changes)


def small_bundle(*, seed: int = 0, temperature: float = 1.0, **spec: Any) -> Bundle:
    """A model with random weights, in memory."""
    config = small_config()
    metadata = Metadata("fluxformer_nano", config, small_spec(**spec), LABELS, temperature, provenance={"data": "none"})
    return Bundle(metadata, small_model(config, seed=seed).state_dict())


def saved_bundle(folder: Path, **changes: Any) -> Path:
    path = folder / "small.safetensors"
    small_bundle(**changes).save(path)
    return path


def texture(height: int, width: int, *, seed: int = 0) -> np.ndarray:
    """Grey blobs on all scales, (height, width) uint8: a texture in which optical flow finds every displacement."""
    rng = np.random.default_rng(seed)
    noise = rng.standard_normal((height, width)).astype(np.float32)
    blurred = sum(sigma * cv2.GaussianBlur(noise, (0, 0), sigma) for sigma in (1.5, 3.0, 6.0))
    low, high = blurred.min(), blurred.max()
    return (20 + 215 * (blurred - low) / (high - low)).astype(np.uint8)


def view(picture: np.ndarray, right: float, down: float, size: int) -> np.ndarray:
    """The picture moved by a fraction of pixels, then its centre square of `size` pixels."""
    height, width = picture.shape[:2]
    top, left = (height - size) / 2, (width - size) / 2
    matrix = np.array([[1, 0, right - left], [0, 1, down - top]], dtype=np.float64)
    return cv2.warpAffine(picture, matrix, (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)


def rgb(grey: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(np.repeat(grey[..., None], 3, axis=2))


def moving_pictures(folder: Path) -> Path:
    """Sixteen recordings of the last two labels, a picture that moves to the left or the right; returns their list."""
    picture = texture(96, 160)
    lines = ["path,label"]
    for number in range(16):
        label, direction = (LABELS[1], 1) if number % 2 else (LABELS[2], -1)
        with VideoRecorder(folder / f"{number}.mp4") as recorder:
            for step in range(12):
                recorder.write(rgb(view(picture, direction * 2.0 * step, number / 4, 64)), step * SECOND // 20)
        lines.append(f"{number}.mp4,{label}")
    path = folder / "index.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


class PageLinks(HTMLParser):
    """What a page would load; tags that need an end must have one."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.open: list[str] = []
        self.feed(page)
        assert self.open == []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.found += [value or "" for name, value in attributes if name in ("src", "href")]
        self.open += [] if tag in ("meta", "img", "rect", "line") else [tag]

    def handle_endtag(self, tag: str) -> None:
        assert tag in ("meta", "img", "rect", "line") or self.open.pop() == tag
