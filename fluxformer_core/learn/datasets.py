"""Recordings with labels, decoded once: frames and flow of every clip in a few flat arrays on disk."""

from __future__ import annotations

import csv
import hashlib
import json
import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from fluxformer_core.clip import SECOND, ClipSpec, Pixels
from fluxformer_core.errors import ConfigError, FluxformerError
from fluxformer_core.flow.dis import DisFlow
from fluxformer_core.learn.actor import perform
from fluxformer_core.stream.buffer import RollingBuffer
from fluxformer_core.stream.prepare import prepare
from fluxformer_core.stream.sources import open_source

log = logging.getLogger(__name__)

LONGEST_CLIP = 512
"""Frames kept of a recording; an action of more than 25 s at 20 Hz is cut."""

FLOW_STEP = 1 / 32
"""Frame heights per second that one step of the stored int8 flow stands for: it reaches to 4, beyond any clamp."""


@dataclass(frozen=True)
class Recording:
    """One labelled clip."""

    path: str
    label: str
    subject: str = ""
    split: str = ""


@dataclass(frozen=True)
class ActorClip:
    """One clip that the rendered actor performs."""

    label: str
    seed: int
    mode: str  # "depth" or "colour"


@dataclass(frozen=True)
class Sample:
    """A decoded clip, at its own frame rate; views of the store."""

    label: int
    frames: NDArray[np.uint8]  # (n, S, S, 3) RGB
    flow: NDArray[np.int8]  # (n, S, S, 2) in FLOW_STEP
    motion: NDArray[np.float32]  # (n,)
    change: NDArray[np.float32]  # (n,)
    descriptors: NDArray[np.float32]  # (n, d)
    depth: bool  # grey picture of depth, whose black is "no reading"


def read_index(path: Path, *, media: str | None = None) -> list[Recording]:
    """Read a list of clips: CSV with the columns path, label and, optionally, subject and split.

    Args:
        path: the list; paths in it are relative to its folder.
        media: folder, beside the list, to take the files from instead of the one that the list names.

    Raises:
        ConfigError: if the list cannot be read, is empty or lacks a column.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(f"cannot read the list {path}: {error}") from None
    if not rows or not {"path", "label"} <= rows[0].keys():
        raise ConfigError(f"{path} must have the columns path and label, and at least one line")
    root = path.parent
    return [
        Recording(
            str(root / media / Path(row["path"]).name if media else root / row["path"]),
            row["label"],
            row.get("subject") or "",
            row.get("split") or "",
        )
        for row in rows
    ]


def actor_clips(labels: Sequence[str], per_label: int, *, seed: int) -> list[ActorClip]:
    """Clips for the rendered actor to perform, half in colour and half in depth."""
    return [
        ActorClip(label, seed + i * len(labels) + k, ("depth", "colour")[i % 2])
        for i in range(per_label)
        for k, label in enumerate(labels)
    ]


class ClipStore:
    """Decoded clips in memory-mapped arrays; `build` makes them once, and a second call finds them."""

    def __init__(self, folder: Path) -> None:
        self._index = json.loads((folder / "index.json").read_text())
        self.labels: tuple[str, ...] = tuple(self._index["labels"])
        self.skipped: list[str] = self._index["skipped"]
        self._arrays = {name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in _FIELDS}
        self._offsets = np.concatenate([[0], np.cumsum(self._index["lengths"])])

    def __len__(self) -> int:
        return len(self._index["lengths"])

    def __getitem__(self, i: int) -> Sample:
        span = slice(int(self._offsets[i]), int(self._offsets[i + 1]))
        arrays = {name: array[span] for name, array in self._arrays.items()}
        return Sample(self._index["classes"][i], depth=self._index["depth"][i], **arrays)

    @property
    def classes(self) -> NDArray[np.intp]:
        """Class of every clip."""
        return np.asarray(self._index["classes"], dtype=np.intp)

    @classmethod
    def build(
        cls,
        clips: Sequence[Recording | ActorClip],
        labels: Sequence[str],
        spec: ClipSpec,
        cache: Path,
        *,
        depth: bool = False,
    ) -> ClipStore:
        """Decode clips with the recogniser's own buffer, or find them decoded.

        Files that cannot be read are skipped, logged and listed in `skipped`.

        Args:
            clips: what to decode.
            labels: gives classes their numbers.
            spec: size and rate.
            cache: folder in which each set of clips gets one of its own.
            depth: whether the recordings are grey pictures of depth.

        Raises:
            ConfigError: if a label is unknown or no clip could be read.
        """
        unknown = {clip.label for clip in clips} - set(labels)
        if unknown:
            raise ConfigError(f"labels that are not in the list: {', '.join(sorted(unknown))}")
        key = json.dumps([[asdict(clip) for clip in clips], list(labels), asdict(spec), depth, _LAYOUT])
        folder = cache / hashlib.sha256(key.encode()).hexdigest()[:16]
        if not (folder / "index.json").exists():
            _decode_all(clips, list(labels), spec, folder, depth=depth)
        return cls(folder)


_LAYOUT = 1
"""Raised when what is stored changes its meaning, so that old caches are not found."""

_FIELDS = ("frames", "flow", "motion", "change", "descriptors")


def _decode_all(
    clips: Sequence[Recording | ActorClip], labels: list[str], spec: ClipSpec, folder: Path, *, depth: bool
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    wide = ClipSpec(spec.frames, spec.size, spec.rate, LONGEST_CLIP, spec.mean, spec.std, spec.flow_scale)
    buffer = RollingBuffer(wide, DisFlow())
    parts: dict[str, list[NDArray[np.generic]]] = {name: [] for name in _FIELDS}
    index: dict[str, list[object]] = {"labels": list(labels), "lengths": [], "classes": [], "depth": [], "skipped": []}
    for clip in tqdm(clips, desc="decoding", unit="clip", disable=None):
        buffer.clear()
        try:
            newest = None
            for stamp, frame in _prepared(clip, spec):
                if len(buffer) == LONGEST_CLIP:
                    break
                if newest is None or stamp > newest:  # recordings may repeat a frame, or have lost their order
                    buffer.push(frame, stamp)
                    newest = stamp
        except FluxformerError as error:
            log.warning("skipped: %s", error)
            index["skipped"].append(str(error))
            continue
        window = buffer.window()
        parts["frames"].append(window.frames.copy())
        parts["flow"].append(np.clip(np.rint(window.flow / FLOW_STEP), -127, 127).astype(np.int8))
        parts["motion"].append(window.motion.copy())
        parts["change"].append(window.change.copy())
        parts["descriptors"].append(window.descriptors.copy())
        index["lengths"].append(len(window))
        index["classes"].append(labels.index(clip.label))
        index["depth"].append(clip.mode == "depth" if isinstance(clip, ActorClip) else depth)
    if not index["lengths"]:
        raise ConfigError(f"none of {len(clips)} clips could be read; the first: {index['skipped'][:1]}")
    for name, arrays in parts.items():
        np.save(folder / f"{name}.npy", np.concatenate(arrays))
    (folder / "index.json").write_text(json.dumps(index))  # last: it says that the rest is whole


def _prepared(clip: Recording | ActorClip, spec: ClipSpec) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    if isinstance(clip, Recording):
        with open_source(clip.path) as source:
            for frame in source:
                yield frame.stamp, prepare(frame.image, frame.pixels, spec)
        return
    mode, pixels = ("depth", Pixels.DEPTH) if clip.mode == "depth" else ("colour", Pixels.RGB)
    side = 2 * spec.size
    images = perform(clip.label, clip.seed, rate=spec.rate, size=(side, side), mode=mode)  # type: ignore[arg-type]
    stamps: Iterable[int] = (round(i * SECOND / spec.rate) for i in range(len(images)))
    for stamp, image in zip(stamps, images, strict=True):
        yield stamp, prepare(image, pixels, spec)
