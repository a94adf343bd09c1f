"""Find the streams in bags and folders of bags."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from fluxformer_core.errors import SourceError
from fluxformer_core.io.sources.bag import ORIGIN_NOTE, SOURCE_NOTE, TOPIC_NOTE, BagContents, bag_contents

RECOGNITION, EVENT = "fluxformer/msg/Recognition", "fluxformer/msg/ActionEvent"
"""Message types that make a bag a bag of results."""

IMAGES = "sensor_msgs/msg/Image or CompressedImage"
"""Message types that are read as images."""

_SUFFIXES = (".mcap", ".db3")
_METADATA = "metadata.yaml"


@dataclass(frozen=True, order=True)
class BagStream:
    """One stream to evaluate: the images of a topic, or the recorded results of a recogniser."""

    bag: str  # name without its folder; the same for all streams of a bag
    topic: str  # of the images; for results, the name of the recogniser
    path: Path
    recorded: bool = False  # whether the bag holds results of a recogniser
    length: int = 0  # messages to read
    of: str = ""  # for results: the bag that was played, if known
    of_topic: str = ""  # for results: the topic of the images, if known
    origin: int = 0  # ns: for results, stamp of the first image; 0: not known


@dataclass(frozen=True)
class BagFault:
    """An error or a warning about a bag, in one line."""

    bag: str
    text: str
    fatal: bool  # whether the bag has no figures because of the fault

    def __str__(self) -> str:
        return f"{'FAULT' if self.fatal else 'note '}  {self.bag}: {self.text}"


def is_bag(path: Path) -> bool:
    """Whether this is a bag: a bag's file, or a folder with a bag's metadata."""
    return path.suffix in _SUFFIXES or (path / _METADATA).exists()


def find_bags(paths: Sequence[Path]) -> dict[str, Path]:
    """Bags by name, in the order of `paths`; the bags of a folder are sorted.

    A bag's name is that of its folder or file. Bags of the same name get as many parent folders as make names unique.

    Raises:
        SourceError: if a path does not exist or holds no bag.
    """
    found: list[Path] = []
    for path in paths:
        if not path.exists():
            raise SourceError(f"{path} does not exist; give bags, or folders of bags")
        bags = [path] if is_bag(path) else sorted(_inside(path)) if path.is_dir() else []
        if not bags:
            raise SourceError(f"{path} is neither a bag ({_METADATA}, {', '.join(_SUFFIXES)}) nor a folder of bags")
        found += bags
    unique = list({bag.resolve(): bag for bag in found}.values())
    return dict(zip(_names([bag.resolve() for bag in unique]), unique, strict=True))


def find_streams(bags: dict[str, Path], topics: dict[str, frozenset[str]]) -> tuple[list[BagStream], list[BagFault]]:
    """The streams of the bags, and the faults of bags without streams.

    The streams of a bag of images are its image topics, or those in `topics` by the bag's name. `X/compressed` is left
    out beside `X`, which has the same images. The streams of a bag of results are its recognisers.
    """
    streams: list[BagStream] = []
    faults: list[BagFault] = []
    for name, path in bags.items():
        try:
            contents = bag_contents(path)
            streams += _results(name, path, contents) or _images(name, path, contents, topics.get(name, frozenset()))
        except SourceError as error:
            faults.append(BagFault(name, without_name(str(error), path, name), fatal=True))
    return streams, faults


def without_name(text: str, path: Path, name: str) -> str:
    """A message without the path of the bag, for a line that begins with the bag's name."""
    return text.replace(str(path), name).removeprefix(f"{name} ")


def _results(name: str, path: Path, contents: BagContents) -> list[BagStream]:
    said, told = (
        {topic.rpartition("/")[0] for topic, kind in contents.others.items() if kind == wanted}
        for wanted in (RECOGNITION, EVENT)
    )
    of, of_topic, origin = (contents.notes.get(note, "") for note in (SOURCE_NOTE, TOPIC_NOTE, ORIGIN_NOTE))
    first = int(origin) if origin.isdecimal() else 0
    return [BagStream(name, node or "/", path, True, 0, of, of_topic, first) for node in sorted(said & told)]


def _images(name: str, path: Path, contents: BagContents, chosen: Iterable[str]) -> list[BagStream]:
    wanted = sorted(chosen)
    for topic in wanted:
        if topic not in contents.images:
            kind = contents.others.get(topic)
            why = f"is of type {kind}, not {IMAGES}" if kind else "is not in the bag"
            raise SourceError(f"{topic} {why}; its image topics: {', '.join(contents.images) or 'none'}")
    if not contents.images:
        found = ", ".join(f"{topic} ({kind})" for topic, kind in contents.others.items()) or "nothing at all"
        raise SourceError(f"{name} has no images ({IMAGES}); it holds {found}")
    topics = wanted or [t for t in contents.images if t.rpartition("/")[0] not in contents.images]
    return [BagStream(name, topic, path, length=contents.images[topic]) for topic in topics]


def _inside(folder: Path) -> Iterator[Path]:
    for entry in sorted(folder.iterdir()):
        if not entry.name.startswith("."):
            yield from [entry] if is_bag(entry) else _inside(entry) if entry.is_dir() else []


def _names(paths: Sequence[Path]) -> list[str]:
    depth = [1] * len(paths)
    while True:
        names = ["/".join(path.parts[-count:]) for path, count in zip(paths, depth, strict=True)]
        twice = {name for name, count in Counter(names).items() if count > 1}
        if not twice:
            return names
        depth = [count + (name in twice) for count, name in zip(depth, names, strict=True)]
