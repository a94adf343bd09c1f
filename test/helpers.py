"""Models that are small enough to run in milliseconds, and moving pictures, for tests of several folders."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from fluxformer_core.actor import Performance, Stage
from fluxformer_core.augment.config import AugmentConfig
from fluxformer_core.bundle import Bundle, Metadata
from fluxformer_core.cli import main
from fluxformer_core.flow.classical import DisFlow
from fluxformer_core.io.video_writer import VideoRecorder
from fluxformer_core.models.fluxformer.fluxformer import Fluxformer, FluxformerConfig
from fluxformer_core.models.fluxformer.mvit import MViTConfig
from fluxformer_core.people.person import Sighting
from fluxformer_core.stream.buffer import RollingBuffer, Window
from fluxformer_core.stream.clip import FrameSelection
from fluxformer_core.stream.config import DecisionConfig, RecognizerConfig
from fluxformer_core.stream.recognizer import Recognizer
from fluxformer_core.stream.selection import Choice
from fluxformer_core.types import SECOND, ActionEvent, ClipSpec, Recognition, Update

FRAMES, SIZE = 4, 32
LABELS = ("clap", "wave", "walk")
EPOCH = 1_700_000_000 * SECOND  # stamp of a stream's first image
EAGER = RecognizerConfig(decision=DecisionConfig(start_score=0.01, keep_score=0.01, smoothing=0.0))
"""Any motion becomes an event, whatever the untrained model says."""
_CHANGES = (
    "partial midway rotated_view dropped aspect shift rotation flip colourised with_background contrast recolour grey "
    "flicker soft noise flow_noise moving_camera crossing other"
)
PLAIN = AugmentConfig(scale=(1.0, 1.0), tempo=(1.0, 1.0), **dict.fromkeys(_CHANGES.split(), 0.0))
"""Augmentation that changes nothing."""


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
    folder.mkdir(exist_ok=True)
    path = folder / "small.safetensors"
    small_bundle(**changes).save(path)
    return path


def train(data: Path, out: Path, *more: object) -> int:
    """The exit code of `fluxformer train`, which keeps its cache beside the bundle."""
    return main(["train", *map(str, (data, "--out", out, "--cache", out.parent / "cache", "--workers", 0, *more))])


class StandInFinder:
    """Finds the people that a test puts into `people`, in each image, in place of the nets."""

    each_image = True

    def __init__(self, *people: Sighting) -> None:
        self.people = list(people)

    def find(self, *_image: object) -> list[Sighting]:
        return list(self.people)

    def search(self, *_image: object) -> list[Sighting]:
        return []

    def look(self, *_image: object) -> None:
        return None

    def reset(self) -> None:
        pass


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


def frame_selection(
    count: int, window: int, colour: Sequence[int], *, seen: int = 0, cuts: Sequence[int] = (), fastest: float = 1.0
) -> FrameSelection:
    """A clip of frames of one colour in which everything moves to the right, faster and faster until 10 s."""
    stamps = 10 * SECOND - np.arange(window - 1, -1, -1) * SECOND // 20
    chosen = np.linspace(seen, window - 1, count).astype(np.intp)
    groups = np.searchsorted(chosen, np.arange(window))
    groups[:seen] = -1
    frames = np.full((count, 20, 20, 3), colour, np.uint8)
    flow = np.zeros((count, 20, 20, 2), np.float32)
    flow[..., 0] = 5.0
    motion = np.linspace(0, fastest, window, dtype=np.float32)
    choice = Choice(chosen, groups, np.array(cuts, np.intp))
    return FrameSelection(stamps[chosen], frames, flow, stamps, motion, choice, int(stamps[seen]), (0.12, 0.07))


def area(picture: np.ndarray, colour: tuple[int, int, int]) -> int:
    """Pixels of an RGB colour."""
    return int((np.abs(picture.astype(int) - colour).max(axis=-1) <= 2).sum())


def rgb(grey: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(np.repeat(grey[..., None], 3, axis=2))


def actor_images(
    *segments: tuple[float, float], label: str = "wave", still: float = 1.2, size: int = 96, **options: Any
) -> list[np.ndarray]:
    """Images at 20 Hz of a person who acts from one time to another (s), and then stands for `still` seconds."""
    actions = [Performance(label, *segment) for segment in segments]
    stage = Stage(actions, size=(size, size), duration=segments[-1][1] + still, **{"rate": 20.0} | options)
    return [image for _, image in stage]


def write_frames(path: Path, images: Iterable[np.ndarray], *, rate: int = 20) -> Path:
    """A video of RGB images."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with VideoRecorder(path) as recorder:
        for i, image in enumerate(images):
            recorder.write(image, i * SECOND // rate)
    return path


def push_images(
    recognizer: Recognizer, images: Iterable[np.ndarray], *, start: int = EPOCH, rate: float = 20.0
) -> list[Update]:
    return [recognizer.push(image, start + round(i * SECOND / rate)) for i, image in enumerate(images)]


def events_of(updates: Iterable[Update]) -> list[ActionEvent]:
    return [event for update in updates for event in update.events]


def recognitions_of(updates: Iterable[Update]) -> list[Recognition]:
    return [update.recognition for update in updates if update.recognition is not None]


def window_of(pictures: Sequence[np.ndarray], *, rate: float = 20.0, **spec: Any) -> Window:
    """What the buffer holds of RGB or grey images."""
    buffer = RollingBuffer(small_spec(**{"window": max(len(pictures), FRAMES)} | spec), DisFlow())
    for i, picture in enumerate(pictures):
        buffer.push(picture if picture.ndim == 3 else rgb(picture), round(i * SECOND / rate))
    return buffer.window()


def moving_pictures(folder: Path) -> Path:
    """The list of 16 recordings of the last two labels, a picture that moves left or right; 4 are to check on."""
    picture = texture(96, 160)
    lines = ["path,label,split"]
    for number in range(16):
        label, direction = (LABELS[1], 1) if number % 2 else (LABELS[2], -1)
        frames = (rgb(view(picture, direction * 2.0 * step, number / 4, 64)) for step in range(12))
        write_frames(folder / f"{number}.mp4", frames)
        lines.append(f"{number}.mp4,{label},{'val' if number // 2 % 4 == 3 else 'train'}")
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
