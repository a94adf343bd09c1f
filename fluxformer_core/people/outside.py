"""Look at people whom a detector outside this package finds, so that they are cut out as those of the own finder are."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from fluxformer_core.errors import PeopleError
from fluxformer_core.people.finder import Finder, create_finder
from fluxformer_core.people.person import Sighting
from fluxformer_core.types import Pixels

log = logging.getLogger(__name__)


class OutsideFinder:
    """Finds nobody, and gives people of an outside detector an outline and joints. See `Finder`.

    Args:
        create: makes the finder that looks at one person. Without its nets, people are seen in their square, unmasked.
    """

    each_image = False

    def __init__(self, create: Callable[[Pixels], Finder] = create_finder) -> None:
        self._create = create
        self._looking: Finder | None = None
        self._pixels: Pixels | None = None

    def find(
        self, image: NDArray[np.generic], pixels: Pixels, stamp: int, known: Sequence[Sighting]
    ) -> list[Sighting]:
        """Nobody: the outside detector finds people."""
        return []

    def look(self, image: NDArray[np.generic], pixels: Pixels, last: Sighting) -> Sighting | None:
        """A known person, with the id that the outside detector gave."""
        if pixels is not self._pixels:
            self._pixels, self._looking = pixels, self._open(pixels)
        seen = None if self._looking is None else self._looking.look(image, pixels, last)
        return None if seen is None else replace(seen, id=last.id)

    def _open(self, pixels: Pixels) -> Finder | None:
        try:
            return self._create(pixels)
        except PeopleError as error:
            log.warning("%s; people are seen with their background", error)
            return None
