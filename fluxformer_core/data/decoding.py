"""Decoding: from recordings and rendered clips to the frames and flow of the recogniser, one file for each clip."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save

from fluxformer_core.data.recordings import SINCE_1970, Recording
from fluxformer_core.errors import FluxformerError, SourceError
from fluxformer_core.flow.classical import FlowEstimator
from fluxformer_core.flow.registry import create_flow
from fluxformer_core.io.sources import open_source
from fluxformer_core.people.depth import DepthFinder
from fluxformer_core.stream.recorded_view import RecordedView
from fluxformer_core.types import SECOND, ClipSpec, Pixels

LONGEST_CLIP = 512
"""Frames of a clip, at most: 25 s at 20 Hz. Longer actions are cut."""

FLOW_STEP = 1 / 32
"""Frame heights per second of one step of the stored int8 flow, which reaches to 4, beyond the models' clamp."""

LAYOUT = 3
"""Version of the stored files, raised with each change of their meaning, so that old files are not found."""

_LONGEST_GAP = 3600.0  # s: a clip continues over shorter pauses of its recording


@dataclass(frozen=True)
class ActorClip:
    """One clip of the rendered actor."""

    label: str
    seed: int
    mode: str  # "depth" or "colour"


@dataclass(frozen=True)
class ClipPart:
    """A part of a recording, and the file for the part."""

    start: int | None  # ns, as in Recording
    end: int | None
    target: Path


@dataclass(frozen=True)
class DecodeJob:
    """All clips of one recording, which is read once."""

    source: Recording | ActorClip  # of a Recording, only path and topic are used
    parts: tuple[ClipPart, ...]
    spec: ClipSpec
    flow: str  # as `create_flow` names it
    depth: bool = False  # whether the recording is a grey picture of depth

    @property
    def name(self) -> str:
        """The name of the recording in messages."""
        return self.source.path if isinstance(self.source, Recording) else self.source.label

    def fail(self, reason: str) -> None:
        """Tell for every part why it cannot be decoded."""
        for part in self.parts:
            _write(failure_of(part.target), f"{self.name} cannot be read: {reason}".encode())


def decode(job: DecodeJob, beat: Callable[[], None]) -> list[str]:
    """Write a file for every part, or a file with the reason why the part cannot be decoded; return the reasons.

    Raises:
        OSError: if the cache cannot be written.
    """
    cv2.setNumThreads(1)  # several processes share the machine
    estimator = create_flow(job.flow)
    clips = [_Clip(part, job.spec, estimator, job.depth) for part in job.parts]
    reason, first = "", None
    try:
        for stamp, image, pixels in _images(job):
            beat()
            first = stamp if first is None else first
            for clip in clips:
                clip.see(stamp, first, image, pixels)
            if all(clip.over for clip in clips):
                break
    except FluxformerError as error:
        reason = str(error)
    # Decoders may raise any exception on a damaged file, and no file may end a training.
    except Exception as error:
        reason = f"{job.name} cannot be read: {type(error).__name__}: {str(error).partition(chr(10))[0]}"
    return [clip.keep(job.name, "" if clip.over else reason) for clip in clips]


def failure_of(target: Path) -> Path:
    """The file with the reason why a clip cannot be decoded."""
    return target.with_suffix(".failed")


def _write(target: Path, data: bytes) -> None:
    """Write a file, all or nothing, even if two processes write the same file."""
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f"{target.name}.{os.getpid()}")
    partial.write_bytes(data)
    partial.replace(target)


def fingerprint(clip: Recording | ActorClip, spec: ClipSpec, flow: str, *, depth: bool = False) -> str:
    """The name of a clip's file, by recording, part, size, rate and flow.

    Raises:
        SourceError: if the recording does not exist.
    """
    what: list[object] = [LAYOUT, spec.size, spec.rate, spec.depth_range, spec.flow_scale, flow]
    # Default values are left out, so that the names of older files with these values stay valid.
    usual = (spec.framing, "crop"), (spec.brighten, False), (spec.view, "scene")
    what += [value for value, was in usual if value != was]
    if spec.view == "person" and depth:
        what.append("depth")  # people are found in another way
    if isinstance(clip, Recording):
        what += [_identity(Path(clip.path)), clip.topic, clip.start, clip.end]
    else:
        what += [asdict(clip), _actor_version()]
    return hashlib.sha256(json.dumps(what).encode()).hexdigest()[:32]


class _Clip:
    """The clip of one part while its recording is read."""

    def __init__(self, part: ClipPart, spec: ClipSpec, flow: FlowEstimator | None, depth: bool) -> None:
        self.over = self._depth = False
        self._part, self._spec = part, spec
        finder = DepthFinder() if depth else None
        self._view = RecordedView(spec, flow, LONGEST_CLIP, max_gap=_LONGEST_GAP, finder=finder)

    def see(self, stamp: int, first: int, image: NDArray[np.generic], pixels: Pixels) -> None:
        start, end = (
            None if time is None else time if time >= SINCE_1970 else first + time
            for time in (self._part.start, self._part.end)
        )
        if self.over or (start is not None and stamp < start):
            return
        if (end is not None and stamp > end) or self._view.full:
            self.over = True
            return
        self._view.push(image, stamp, pixels)
        self._depth = pixels is Pixels.DEPTH

    def keep(self, name: str, reason: str) -> str:
        window = self._view.window
        if not reason and window is None:
            what = "image" if self._view.admitted == 0 else "person"
            reason = f"{name} shows no {what} between {self._part.start} and {self._part.end} ns"
        if reason or window is None:
            _write(failure_of(self._part.target), reason.encode())
            return reason
        as_they_are = ("stamps", "frames", "motion", "change", "descriptors")
        arrays = {name: np.ascontiguousarray(getattr(window, name)) for name in as_they_are}
        arrays["flow"] = np.clip(np.rint(window.flow / FLOW_STEP), -127, 127).astype(np.int8)
        _write(self._part.target, save(arrays, metadata={"depth": "yes" if self._depth else "no"}))
        return ""


def _images(job: DecodeJob) -> Iterator[tuple[int, NDArray[np.generic], Pixels]]:
    clip, spec = job.source, job.spec
    if isinstance(clip, Recording):
        with open_source(clip.path, topic=clip.topic or None) as source:
            for frame in source:
                yield frame.stamp, frame.image, frame.pixels
        return
    from fluxformer_core.actor import perform

    mode, pixels = ("depth", Pixels.DEPTH) if clip.mode == "depth" else ("colour", Pixels.RGB)
    side = 2 * spec.size
    images = perform(clip.label, clip.seed, rate=spec.rate, size=(side, side), mode=mode)  # type: ignore[arg-type]
    for i, image in enumerate(images):
        yield round(i * SECOND / spec.rate), image, pixels


def _identity(path: Path) -> list[object]:
    """A file's path, size and time of change; for a bag or a folder of images, those of the files."""
    try:
        files = sorted(path.iterdir()) if path.is_dir() else [path]
        return [str(path.resolve()), [[file.name, file.stat().st_size, file.stat().st_mtime_ns] for file in files]]
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror}") from None


@cache
def _actor_version() -> str:
    """A digest of the actor's source, because another source renders other clips."""
    files = sorted((Path(__file__).parents[1] / "actor").glob("*.py"))
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()
