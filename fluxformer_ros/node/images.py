"""ROS image messages to arrays and back.

cv_bridge converts where it is installed. The project's own decoder (`fluxformer_core.io.image_encodings`) converts
without cv_bridge, for encodings that cv_bridge does not know, and for padded rows, which cv_bridge misreads when the
padding is not a whole number of pixels. The decoder also reads again what cv_bridge refuses, and names the damage.
"""

from __future__ import annotations

import importlib
import sys
from array import array
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from sensor_msgs.msg import CompressedImage, Image

from fluxformer_core.errors import ImageError
from fluxformer_core.io.image_encodings import MAX_SIDE, decode_compressed, decode_image, encoding_of
from fluxformer_core.types import Pixels
from fluxformer_ros.node.messages import header_of

_TO_BGR = {Pixels.RGB: cv2.COLOR_RGB2BGR, Pixels.RGBA: cv2.COLOR_RGBA2BGR, Pixels.BGRA: cv2.COLOR_BGRA2BGR}
JPEG_QUALITY = 90
"""Quality of the images that `image_to_compressed` writes, 0..100."""

_BRIDGED: dict[str, tuple[str, Pixels, int]] = {
    "rgb8": ("passthrough", Pixels.RGB, 3),
    "bgr8": ("passthrough", Pixels.BGR, 3),
    "rgba8": ("passthrough", Pixels.RGBA, 4),
    "bgra8": ("passthrough", Pixels.BGRA, 4),
    "mono8": ("passthrough", Pixels.GREY, 1),
    "8UC1": ("passthrough", Pixels.GREY, 1),
    "8UC3": ("passthrough", Pixels.BGR, 3),
    "8UC4": ("passthrough", Pixels.BGRA, 4),
    "16UC1": ("passthrough", Pixels.DEPTH, 2),
    "32FC1": ("passthrough", Pixels.DEPTH, 4),
    "yuv422": ("rgb8", Pixels.RGB, 2),
    "yuv422_yuy2": ("rgb8", Pixels.RGB, 2),
    **{f"bayer_{order}8": ("rgb8", Pixels.RGB, 1) for order in ("rggb", "bggr", "gbrg", "grbg")},
}
"""What cv_bridge reads: the encoding to ask for, how to read the result, and the bytes of a pixel in the message.

Colour of 16 bits is missing because cv_bridge rounds to 8 bits differently than the model's training did."""


@lru_cache
def _bridge() -> Any:
    """The converter of cv_bridge; None where cv_bridge is not installed or does not fit the installed NumPy."""
    try:
        bridge = importlib.import_module("cv_bridge").CvBridge()
        bridge.encoding_to_cvtype2("rgb8")  # loads the compiled half
    except (ImportError, AttributeError):
        return None
    return bridge


def image_from_msg(message: Image | CompressedImage) -> tuple[np.ndarray, Pixels]:
    """The image in a message, (H, W) or (H, W, C), and how to read it.

    Where the encoding allows it the image is a read-only view that keeps the message's bytes alive.

    Raises:
        ImageError: if the message cannot be read as an image.
    """
    if isinstance(message, CompressedImage):
        return decode_compressed(message.format, message.data)
    height, width, encoding, step = message.height, message.width, message.encoding, message.step
    wanted, pixels, size = _BRIDGED.get(encoding, ("", Pixels.RGB, 0))
    usual = wanted and step == width * size and 1 <= height <= MAX_SIDE and 1 <= width <= MAX_SIDE
    if usual and (bridge := _bridge()) is not None:
        try:
            return np.asarray(bridge.imgmsg_to_cv2(message, wanted)), pixels
        except Exception:
            # Depending on the damage cv_bridge raises TypeError, ValueError, AttributeError or cv2.error.
            pass
    return decode_image(height, width, encoding, message.is_bigendian, step, message.data)


def image_to_msg(image: np.ndarray, pixels: Pixels, stamp: int, frame_id: str) -> Image:
    """An image (H, W) or (H, W, C), as `pixels` says, with its stamp (ns) and the camera's frame as a message.

    Raises:
        ImageError: if the array's type is not that of `pixels`.
    """
    encoding, header = encoding_of(image, pixels), header_of(stamp, frame_id)
    if (bridge := _bridge()) is not None:
        return bridge.cv2_to_imgmsg(image, encoding, header)
    rows = np.ascontiguousarray(image)
    height, width = rows.shape[:2]
    message = Image(header=header, height=height, width=width, encoding=encoding, step=rows.strides[0])
    message.is_bigendian = int(sys.byteorder == "big")
    message.data = _bytes(rows.data.cast("B"))
    return message


def _bytes(content: bytes | memoryview) -> array[int]:
    # rclpy checks every byte of an assigned array or list (20 to 70 ms for a small image), but not of an array("B").
    data = array("B")
    data.frombytes(content)
    return data


def image_to_compressed(image: np.ndarray, pixels: Pixels, stamp: int, frame_id: str) -> CompressedImage:
    """The same as a compressed message: JPEG for colour, 16-bit PNG for depth in millimetres.

    Raises:
        ImageError: if the image is depth in metres, which has no compressed form here, or not of the type of `pixels`.
    """
    encoding = encoding_of(image, pixels)
    if encoding == "32FC1":
        raise ImageError("depth in metres cannot be sent as a compressed image; send millimetres (16UC1) or raw images")
    kind = "png" if pixels is Pixels.DEPTH else "jpeg"
    source = cv2.cvtColor(image, _TO_BGR[pixels]) if pixels in _TO_BGR else image
    _, content = cv2.imencode(f".{kind}", source, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY] if kind == "jpeg" else [])
    message = CompressedImage(header=header_of(stamp, frame_id), format=f"{encoding}; {kind} compressed ")
    message.data = _bytes(content.tobytes())
    return message
