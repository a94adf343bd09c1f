"""What finds people in images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from fluxformer_core.people.person import Sighting
from fluxformer_core.types import Pixels


class Finder(Protocol):
    """Finds people in the images of one camera."""

    each_image: bool  # whether `find` sees everybody in each image, so that nobody needs a look of their own

    def find(
        self, image: NDArray[np.generic], pixels: Pixels, stamp: int, known: Sequence[Sighting]
    ) -> list[Sighting]:
        """Everybody in an image, also those who are known.

        Args:
            image: as `pixels` says.
            pixels: how to read the image.
            stamp: ns.
            known: the people who are followed, where they should be.
        """
        ...

    def look(self, image: NDArray[np.generic], pixels: Pixels, last: Sighting) -> Sighting | None:
        """A known person, looked for where they should be; None if they are not there."""
        ...


def create_finder(pixels: Pixels) -> Finder:
    """What finds people in images of a kind.

    Raises:
        PeopleError: if the nets, or what runs them, cannot be used.
    """
    if pixels is Pixels.DEPTH:
        from fluxformer_core.people.depth import DepthFinder

        return DepthFinder()
    from fluxformer_core.people.colour_finder import ColourFinder

    return ColourFinder()
