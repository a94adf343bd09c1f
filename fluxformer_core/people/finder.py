"""What finds people in images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from numpy.typing import NDArray

from fluxformer_core.people.person import Box, Sighting
from fluxformer_core.types import Pixels


class Finder(Protocol):
    """Finds people in the images of one camera. Another net can take the place of `ColourFinder`."""

    each_image: bool  # whether `find` sees everybody in each image; then nobody needs a look of their own

    def reset(self) -> None:
        """Forget earlier images: the next image may have any stamp, and show another place."""
        ...

    def find(self, image: NDArray[Any], pixels: Pixels, stamp: int, known: Sequence[Sighting] = ()) -> list[Sighting]:
        """Look at a whole image for people; the surest first.

        Args:
            image: as `pixels` says.
            pixels: how the image is to be read.
            stamp: ns.
            known: people who were seen lately. They may be left out of the result, so that they cost nothing.
        """
        ...

    def search(self, image: NDArray[Any], pixels: Pixels, box: Box) -> list[Sighting]:
        """Look closely at a part of an image, in which something moves; the surest first."""
        ...

    def look(self, image: NDArray[Any], pixels: Pixels, last: Sighting) -> Sighting | None:
        """Look again at a person who was seen in an earlier image; None: they are not there any longer."""
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
