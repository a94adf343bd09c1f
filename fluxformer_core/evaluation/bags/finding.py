"""Which streams of images there are in what a user names: bags, and folders of bags."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from fluxformer_core.errors import SourceError
from fluxformer_core.io.sources.bag import ORIGIN_NOTE, SOURCE_NOTE, TOPIC_NOTE, BagContents, bag_contents

RECOGNITION, EVENT = "fluxformer/msg/Recognition", "fluxformer/msg/ActionEvent"
"""Types of the topics by which a bag of results is known."""

IMAGES = "sensor_msgs/msg/Image or CompressedImage"
"""What is read as images."""

_SUFFIXES = (".mcap", ".db3")
_METADATA = "metadata.yaml"


@dataclass(frozen=True, order=True)
class BagStream:
    """One stream to be evaluated: the images of a topic, or what a recogniser said about such images."""

    bag: str  # name, not place; the same for all streams of a bag
    topic: str  # of the images; of results the recogniser's name
    path: Path
    recorded: bool = False  # whether it holds what a recogniser said
    length: int = 0  # messages to read
    of: str = ""  # of results: the bag that was played, if known
    of_topic: str = ""  # and the topic of its images
    origin: int = 0  # ns: stamp of that topic's first image; 0: not known


@dataclass(frozen=True)
class BagFault:
    """What is wrong with a bag, in one line."""

    bag: str
    text: str
    fatal: bool  # whether the bag has no figures because of the fault

    def __str__(self) -> str:
        return f"{'FAULT' if self.fatal else 'note '}  {self.bag}: {self.text}"


def is_bag(path: Path) -> bool:
    """Whether this is a bag, or a folder that must be meant as a folder of bags."""
    return path.suffix in _SUFFIXES or (path / _METADATA).exists()


def holds_bags(path: Path) -> bool:
    """Whether this is a bag or a folder in which bags lie."""
    return is_bag(path) or (path.is_dir() and next(_inside(path), None) is not None)


def find_bags(paths: Sequence[Path]) -> dict[str, Path]:
    """Bags by name, in the order in which they were named; those of a folder sorted.

    A bag is called after its folder or file; bags of one name get as much of their folders' names as tells them apart.

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
    """The streams of the bags, and why some bags have none.

    Of a bag of images these are its image topics or, where some are chosen, only those. `X/compressed` is left out
    beside `X`: it shows the same. Of a bag of results they are its recognisers.

    Args:
        bags: by name.
        topics: the chosen ones of each bag; bags that are missing, or have none, are taken whole.
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
    """A complaint about a bag for a line that begins with the bag's name: short, and without its folders."""
    return text.replace(str(path), name).removeprefix(f"{name} ")


def _results(name: str, path: Path, contents: BagContents) -> list[BagStream]:
    said = {topic for topic, kind in contents.others.items() if kind == RECOGNITION}
    told = {topic for topic, kind in contents.others.items() if kind == EVENT}
    nodes = sorted({topic.rpartition("/")[0] for topic in said} & {topic.rpartition("/")[0] for topic in told})
    notes = contents.notes
    origin = notes.get(ORIGIN_NOTE, "")
    stream = BagStream(
        name,
        "",
        path,
        recorded=True,
        of=notes.get(SOURCE_NOTE, ""),
        of_topic=notes.get(TOPIC_NOTE, ""),
        origin=int(origin) if origin.isdecimal() else 0,
    )
    return [replace(stream, topic=node or "/") for node in nodes]


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
        if entry.name.startswith("."):
            continue
        if is_bag(entry):
            yield entry
        elif entry.is_dir():
            yield from _inside(entry)


def _names(paths: Sequence[Path]) -> list[str]:
    depth = [1] * len(paths)
    while True:
        names = ["/".join(path.parts[-count:]) for path, count in zip(paths, depth, strict=True)]
        twice = {name for name, count in Counter(names).items() if count > 1}
        if not twice:
            return names
        depth = [count + (name in twice) for count, name in zip(depth, names, strict=True)]
