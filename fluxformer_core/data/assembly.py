"""From the data that a user names to decoded clips to train on and to check on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from fluxformer_core.actor import ACTIONS
from fluxformer_core.data.clip_store import ACTOR_MODES, ClipStore, actor_clips
from fluxformer_core.data.label_mapping import LabelMap
from fluxformer_core.data.read_data import read_data
from fluxformer_core.data.recordings import Recording, chosen
from fluxformer_core.errors import ConfigError
from fluxformer_core.types import OTHER, ClipSpec

ACTOR = "actor"
"""Name of the rendered actor as a source of clips."""

_UNSEEN = 1_000_000
"""Added to the seeds of rendered clips to check on, so that these are never among the clips to train on."""


@dataclass(frozen=True)
class RecordingSet:
    """The recordings of one folder or list."""

    name: str
    train: tuple[Recording, ...]
    check: tuple[Recording, ...]
    depth: bool  # whether recordings of unstated content are grey pictures of depth


@dataclass(frozen=True)
class RecordingFilter:
    """Which recordings to train on (empty: all) and which to check on (empty: none)."""

    splits: tuple[str, ...] = ()
    subjects: tuple[str, ...] = ()
    check_splits: tuple[str, ...] = ()
    check_subjects: tuple[str, ...] = ()

    def divide(self, recordings: Sequence[Recording]) -> tuple[list[Recording], list[Recording]]:
        """Recordings to train on, and recordings to check on; the two do not overlap."""
        check: list[Recording] = []
        if self.check_splits or self.check_subjects:
            check = chosen(recordings, splits=self.check_splits, subjects=self.check_subjects)
        held = set(check)
        train = [r for r in chosen(recordings, splits=self.splits, subjects=self.subjects) if r not in held]
        return train, check


def read_sources(
    data: Sequence[Path],
    media: Sequence[str],
    depth: Sequence[str] | None,
    only: RecordingFilter,
    labels: LabelMap | None,
) -> list[RecordingSet]:
    """Read every folder and list that the user names.

    `media` is for all data, or one for each, the folder to take files from; `-` is the folder that the data names.
    `depth` names the data that show depth; empty: all; None: none.

    Raises:
        ConfigError: if data cannot be read, or no recording is left to train on or to check on.
    """
    if len(media) not in (0, 1, len(data)):
        raise ConfigError(f"{len(media)} media folders do not fit {len(data)} sources; give one, or one for each")
    folders = [None if m == "-" else m for m in media] * (len(data) if len(media) == 1 else 1) or [None] * len(data)
    names = [_name(path) for path in data]
    unknown = sorted(set(depth or ()) - set(names))
    if unknown:
        raise ConfigError(f"there is no data called {', '.join(unknown)}; known are {', '.join(names)}")
    sources = []
    for path, folder, name in zip(data, folders, names, strict=True):
        recordings = read_data(path, media=folder)
        train, check = only.divide(labels.apply(recordings) if labels else recordings)
        shown = depth is not None and (not depth or name in depth)
        sources.append(RecordingSet(name, tuple(train), tuple(check), shown))
    if not any(source.train for source in sources):
        raise ConfigError("no recording is left: look at the splits, subjects and labels")
    if (only.check_splits or only.check_subjects) and not any(source.check for source in sources):
        raise ConfigError("no recording is left to check on: look at the splits and subjects to check on")
    return sources


def build_stores(
    sources: Sequence[RecordingSet],
    labels: Sequence[str],
    spec: ClipSpec,
    cache: Path,
    *,
    flow: str = "",
    actor: int = 0,
    check_actor: int = 0,
    actor_modes: Sequence[str] = ACTOR_MODES,
    seed: int = 0,
    workers: int = 0,
) -> tuple[list[ClipStore], ClipStore | None]:
    """Decode all clips: one store to train on for each source, and one store of all clips to check on.

    Raises:
        ConfigError: if no clip of a source can be read.
    """
    build = partial(ClipStore.build, labels=labels, spec=spec, cache=cache, flow=flow, workers=workers)
    stores: list[ClipStore] = []
    checks: list[ClipStore] = []
    for source in sources:
        for recordings, into in ((source.train, stores), (source.check, checks)):
            if recordings:
                into.append(build(recordings, depth=source.depth, name=source.name))
    for count, first, into in ((actor, seed, stores), (check_actor, seed + _UNSEEN, checks)):
        if count:
            performed = [label for label in labels if label in (*ACTIONS, OTHER)]
            clips = actor_clips(performed, count, seed=first, modes=actor_modes)
            if not clips:
                raise ConfigError("the actor knows none of the labels")
            into.append(build(clips, name=ACTOR))
    return stores, ClipStore.joined(checks) if checks else None


def _name(path: Path) -> str:
    """The name of data: the name of its folder without the path, because bundles that keep this name are passed on."""
    place = path.resolve()
    return place.name if place.is_dir() else place.parent.name
