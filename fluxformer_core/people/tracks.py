"""Which people are followed, each in a square of the image, as a detector with a tracker reports them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from fluxformer_core.declared import check
from fluxformer_core.people.square import Person, Square
from fluxformer_core.types import SECOND


@dataclass(frozen=True)
class PeopleConfig:
    """Settings of following several people.

    Raises:
        ConfigError: if a field is outside its range.
    """

    most: Annotated[int, Field(ge=1, le=64)] = 4  # people followed at once; the tallest are taken, who are nearest
    expiry: Annotated[float, Field(ge=0.05, le=3600)] = 1.0  # s: a person who is not detected for longer is forgotten
    margin: Annotated[float, Field(ge=0, le=2)] = 0.2  # added around a person, as a share of the box's longer side

    def __post_init__(self) -> None:
        check(self)


class Tracks:
    """The people who are followed now.

    Attributes:
        squares: the square of each person, by id.
        forgotten: people who were no longer detected.
        ignored: detections left out because `most` people were followed already.
    """

    def __init__(self, config: PeopleConfig) -> None:
        self.config = config
        self.squares: dict[str, Square] = {}
        self.forgotten = 0
        self.ignored = 0
        self._seen: dict[str, int] = {}  # ns: stamp of the newest image in which each person was detected

    def update(self, people: Sequence[Person] | None, stamp: int) -> None:
        """Take in where people are, and forget those who were not detected for too long.

        Args:
            people: who is where; None: no detector has looked, so everybody stays where they were.
            stamp: ns, of the image.
        """
        for person in sorted(people or (), key=lambda person: person.box[1] - person.box[3]):  # the tallest first
            if person.id in self.squares:
                self.squares[person.id].follow(person.box)
            elif len(self.squares) < self.config.most:
                self.squares[person.id] = Square(person.box, self.config.margin)
            else:
                self.ignored += 1
                continue
            self._seen[person.id] = stamp
        expiry = round(self.config.expiry * SECOND)
        gone = [identity for identity, seen in self._seen.items() if stamp - seen > expiry]
        self.forgotten += len(gone)
        for identity in gone:
            del self.squares[identity], self._seen[identity]

    def clear(self) -> None:
        """Follow nobody."""
        self.squares.clear()
        self._seen.clear()
