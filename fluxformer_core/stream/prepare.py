"""Camera images to the model's input: a small square, RGB."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from fluxformer_core.images import brightened, check_image, depth_to_grey, to_rgb
from fluxformer_core.people.tracker import Track
from fluxformer_core.people.watch import PeopleWatch
from fluxformer_core.types import ClipSpec, Pixels


def prepare(image: NDArray[np.generic], pixels: Pixels, spec: ClipSpec) -> NDArray[np.uint8]:
    """Take the centre square, or squeeze the whole image into one, `spec.size` wide, RGB, (S, S, 3) uint8.

    Raises:
        ImageError: if shape or type do not fit `pixels`.
    """
    check_image(image, pixels)
    height, width = image.shape[:2]
    if spec.framing == "crop":
        side = min(height, width)
        top, left = (height - side) // 2, (width - side) // 2
        image = image[top : top + side, left : left + side]
    return shrink(image, pixels, spec)


def shrink(image: NDArray[np.generic], pixels: Pixels, spec: ClipSpec) -> NDArray[np.uint8]:
    """Squeeze an image into a square, `spec.size` wide, RGB, (S, S, 3) uint8.

    The order matters for speed: the image is shrunk in its own format, and only the few pixels left are converted.
    """
    seen: NDArray[Any] = image
    depth = pixels is Pixels.DEPTH
    if depth:
        # Averaging readings would invent depths between a person and the wall. Readings are therefore thinned out and
        # shown as brightness before anything is averaged, as in the recordings that models are trained on.
        down, across = (max(1, length // (4 * spec.size)) for length in seen.shape[:2])
        seen, pixels = depth_to_grey(seen[::down, ::across], spec.depth_range), Pixels.GREY
    shrinks = min(seen.shape[:2]) > spec.size
    way = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    small = to_rgb(cv2.resize(seen, (spec.size, spec.size), interpolation=way), pixels)
    return brightened(small) if spec.brighten and not depth else small


def person_pictures(
    watch: PeopleWatch, track: Track, stamp: int, pixels: Pixels, spec: ClipSpec
) -> tuple[NDArray[np.uint8], Callable[[int], NDArray[np.uint8] | None]]:
    """The picture of a person in the newest image, and what shows earlier images in the same square.

    Args:
        watch: has observed the image.
        track: the person.
        stamp: ns, of the image.
        pixels: how to read the image.
        spec: size and look of the picture.

    Returns:
        (S, S, 3) uint8 RGB, black outside the person; and a function of a stamp (ns) that returns such a picture, or
        None if the image of that stamp is gone.
    """
    earlier = partial(watch.show, track, prepare=partial(shrink, pixels=pixels, spec=spec))
    frame = earlier(stamp)
    assert frame is not None  # the watch remembers the image that it has just observed
    return frame, earlier
