"""Labelled clips, decoded once into a cache of one file for each clip and read from the cache in training."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from tqdm import tqdm

from fluxformer_core.data.decoding import FLOW_STEP, ActorClip, ClipPart, DecodeJob, decode, failure_of, fingerprint
from fluxformer_core.data.recordings import Recording
from fluxformer_core.data.worker_processes import Failure, run_in_processes
from fluxformer_core.errors import ConfigError, SourceError
from fluxformer_core.flow.registry import create_flow
from fluxformer_core.types import OTHER, SECOND, ClipSpec

__all__ = ["ACTOR_MODES", "FLOW_STEP", "ActorClip", "ClipStore", "Sample", "actor_clips"]

log = logging.getLogger(__name__)

PATIENCE = 120.0
"""Seconds without an image after which a decoder counts as hanging."""
ACTOR_MODES = ("depth", "colour")
"""Kinds of cameras that the actor is rendered for, by turns."""

_ARRAYS = ("stamps", "frames", "flow", "motion", "change", "descriptors")
_OF_OTHER = 3  # rendered clips of `other` for each clip of an action


@dataclass(frozen=True)
class Sample:
    """A decoded clip: frames as the recogniser admits them, at most at the rate of the ClipSpec."""

    label: int
    stamps: NDArray[np.int64]  # (n,) ns, by the recording's clock
    frames: NDArray[np.uint8]  # (n, S, S, 3) RGB
    flow: NDArray[np.int8]  # (n, S, S, 2) in FLOW_STEP
    motion: NDArray[np.float32]  # (n,)
    change: NDArray[np.float32]  # (n,)
    descriptors: NDArray[np.float32]  # (n, d)
    depth: bool  # grey picture of depth, whose black is "no reading"

    @property
    def times(self) -> NDArray[np.float64]:
        """Seconds since the first frame, (n,)."""
        return np.asarray((self.stamps - self.stamps[0]) / SECOND)

    @property
    def period(self) -> int:
        """Nanoseconds between two frames, as a rule: the median."""
        return int(np.median(np.diff(self.stamps))) if len(self.stamps) > 1 else ClipSpec().period

    def at(self, kept: NDArray[np.intp]) -> Sample:
        """The clip with these frames alone, as from a camera that drops the others."""
        return replace(self, **{name: getattr(self, name)[kept] for name in _ARRAYS})


def actor_clips(
    labels: Sequence[str], per_label: int, *, seed: int, modes: Sequence[str] = ACTOR_MODES
) -> list[ActorClip]:
    """Clips of the rendered actor, by turns in each mode; the varied label `other` gets three times as many."""
    rounds = [(i, label) for i in range(per_label) for label in labels]
    rounds += [(i, label) for i in range(per_label, _OF_OTHER * per_label) for label in labels if label == OTHER]
    return [ActorClip(label, seed + k, modes[i % len(modes)]) for k, (i, label) in enumerate(rounds)]


class ClipStore:
    """Decoded clips on disk; `build` decodes what is not there yet."""

    def __init__(
        self,
        clips: Sequence[tuple[Path, int, bool]],  # file, class, and whether it is a grey picture of depth
        labels: Sequence[str],
        skipped: Sequence[str] = (),  # one line for each missing clip, with the reason
        name: str = "",  # the user's, for this source of clips
        origins: Sequence[str] = (),  # a short description of each clip
    ) -> None:
        self._clips, self.labels, self.name = list(clips), tuple(labels), name
        self.skipped, self.origins = list(skipped), tuple(origins)

    def __len__(self) -> int:
        return len(self._clips)

    def __getitem__(self, i: int) -> Sample:
        path, label, depth = self._clips[i]
        try:
            with safe_open(path, framework="numpy") as file:
                arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # not a mapping
                return Sample(label, depth=depth or file.metadata()["depth"] == "yes", **arrays)
        except (OSError, SafetensorError, TypeError) as error:
            raise ConfigError(f"{path} is damaged, remove it to have it decoded again: {error}") from None

    @property
    def classes(self) -> NDArray[np.intp]:
        """Class of every clip."""
        return np.array([label for _, label, _ in self._clips], dtype=np.intp)

    @classmethod
    def joined(cls, stores: Sequence[ClipStore]) -> ClipStore:
        """The clips of several stores with the same labels, one store after the other."""
        clips = [clip for store in stores for clip in store._clips]
        skipped = [line for store in stores for line in store.skipped]
        origins = [origin for store in stores for origin in store.origins]
        return cls(clips, stores[0].labels, skipped, "+".join(store.name for store in stores), origins)

    @classmethod
    def build(
        cls,
        clips: Sequence[Recording | ActorClip],
        labels: Sequence[str],
        spec: ClipSpec,
        cache: Path,
        *,
        depth: bool = False,
        flow: str = "",
        workers: int = 0,
        name: str = "",
    ) -> ClipStore:
        """Decode clips with the recogniser's admission and buffer, unless the shared cache has them.

        Files that cannot be read are skipped, logged and listed in `skipped`; a changed file is tried again. `depth`:
        whether recordings of unstated content are grey pictures of depth. `flow`: estimator of optical flow, as
        `create_flow` names it; empty: the spec's. `workers`: processes that decode; 0 decodes in this process, which a
        crashing decoder would end.

        Raises:
            ConfigError: if a label is unknown, no clip could be read, or the cache cannot be written.
        """
        if unknown := {clip.label for clip in clips} - set(labels):
            raise ConfigError(f"labels that are not in the list: {', '.join(sorted(unknown))}")
        flow = flow or spec.flow
        create_flow(flow)  # refuses an unknown name before anything is decoded
        targets, skipped = [], []
        for clip in clips:
            try:
                key = fingerprint(clip, spec, flow, depth=_is_depth(clip, depth))
            except SourceError as error:
                skipped.append(str(error))
            else:
                targets.append((clip, cache / key[:2] / f"{key}.safetensors"))
        try:
            cache.mkdir(parents=True, exist_ok=True)
            # Of the processes that train together, the first decodes and the others wait.
            with FileLock(str(cache / ".lock")):
                _decode_missing(targets, spec, flow, workers, depth=depth)
        except OSError as error:
            raise ConfigError(f"cannot keep decoded clips in {cache}: {error}") from None
        found, origins = [], []
        for clip, target in targets:
            if target.exists():
                origins.append(_origin(clip))
                found.append((target, labels.index(clip.label), _is_depth(clip, depth)))
            else:
                skipped.append(failure_of(target).read_text())
        for reason in skipped:
            log.warning("skipped: %s", reason)
        if not found:
            raise ConfigError(f"none of {len(clips)} clips could be read; the first: {skipped[:1]}")
        return cls(found, labels, skipped, name, origins)


def _is_depth(clip: Recording | ActorClip, otherwise: bool) -> bool:
    """Whether a clip is a picture of depth; `otherwise` tells of recordings whose content is not stated."""
    if isinstance(clip, ActorClip):
        return clip.mode == "depth"
    return clip.pixels == "depth" or (otherwise and not clip.pixels)


def _origin(clip: Recording | ActorClip) -> str:
    """A short description of a clip, without the folder of its file."""
    if isinstance(clip, ActorClip):
        return f"actor {clip.seed}"
    when = "" if clip.start is None else f" from {clip.start / SECOND:g} s"
    return f"{Path(clip.path).name}{when}"


def _decode_missing(
    targets: Sequence[tuple[Recording | ActorClip, Path]], spec: ClipSpec, flow: str, workers: int, *, depth: bool
) -> None:
    """Decode clips that have neither a file nor a failure in the cache; several clips of one recording together."""
    key: object  # of the recording
    wanted: dict[object, tuple[Recording | ActorClip, dict[Path, ClipPart]]] = {}
    for clip, target in targets:
        if not target.exists() and not failure_of(target).exists():
            if isinstance(clip, Recording):
                key, part = (clip.path, clip.topic), ClipPart(clip.start, clip.end, target)
            else:
                key, part = clip, ClipPart(None, None, target)
            wanted.setdefault(key, (clip, {}))[1][target] = part
    jobs = [
        DecodeJob(clip, tuple(parts.values()), spec, flow, isinstance(clip, Recording) and _is_depth(clip, depth))
        for clip, parts in wanted.values()
    ]
    if not jobs:
        return
    with tqdm(total=len(jobs), desc="decoding", unit="file", disable=None) as bar:
        for number, result in run_in_processes(decode, jobs, workers, PATIENCE):
            if isinstance(result, Failure):
                jobs[number].fail(result.reason)
            bar.update()
