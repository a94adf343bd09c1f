"""ROS image messages <-> arrays.

A thin layer over `fluxformer_core.io.image_encodings`. cv_bridge is not used although robots have it: its Python half
copies every image and needs a compiled module, while here most encodings become a view of the message's own bytes.
"""

from __future__ import annotations

import sys
from array import array

import cv2
import numpy as np
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from fluxformer_core.errors import ImageError
from fluxformer_core.io.image_encodings import decode_compressed, decode_image, encoding_of
from fluxformer_core.types import Pixels
from fluxformer_ros.node.messages import time_to_msg

_TO_BGR = {
    Pixels.RGB: cv2.COLOR_RGB2BGR,
    Pixels.RGBA: cv2.COLOR_RGBA2BGR,
    Pixels.BGRA: cv2.COLOR_BGRA2BGR,
}
JPEG_QUALITY = 90
"""Of the images that `image_to_compressed` writes, 0..100."""


def image_from_msg(message: Image | CompressedImage) -> tuple[np.ndarray, Pixels]:
    """Read an image message.

    Args:
        message: raw or compressed, of any encoding that `fluxformer_core.io.image_encodings` knows.

    Returns:
        The image, (H, W) or (H, W, C), and how to read it. Where the encoding allows it is a read-only view that keeps
        the message's bytes alive.

    Raises:
        ImageError: if the message cannot be read as an image.
    """
    if isinstance(message, CompressedImage):
        return decode_compressed(message.format, message.data)
    return decode_image(
        message.height, message.width, message.encoding, message.is_bigendian, message.step, message.data
    )


def image_to_msg(image: np.ndarray, pixels: Pixels, stamp: int, frame_id: str) -> Image:
    """Write an image message.

    Args:
        image: (H, W) or (H, W, C) as `pixels` says.
        pixels: how to read the image.
        stamp: ns.
        frame_id: of the camera.

    Raises:
        ImageError: if the array's type is not that of `pixels`.
    """
    rows = np.ascontiguousarray(image)
    message = Image(
        header=Header(stamp=time_to_msg(stamp), frame_id=frame_id),
        height=image.shape[0],
        width=image.shape[1],
        encoding=encoding_of(image, pixels),
        is_bigendian=int(sys.byteorder == "big"),
        step=rows.strides[0],
    )
    # Assigning the array or a list makes rclpy check every byte, 20 to 70 ms for a small image; this takes 0.1 ms.
    data = array("B")
    data.frombytes(rows.data.cast("B"))
    message.data = data
    return message


def image_to_compressed(image: np.ndarray, pixels: Pixels, stamp: int, frame_id: str) -> CompressedImage:
    """Write a compressed image message: JPEG for colour, 16-bit PNG for depth in millimetres.

    Args:
        image: (H, W) or (H, W, C) as `pixels` says.
        pixels: how to read the image.
        stamp: ns.
        frame_id: of the camera.

    Raises:
        ImageError: if the image is depth in metres, which has no compressed form here, or not of the type of `pixels`.
    """
    encoding = encoding_of(image, pixels)
    if encoding == "32FC1":
        raise ImageError("depth in metres cannot be sent as a compressed image; send millimetres (16UC1) or raw images")
    kind = "png" if pixels is Pixels.DEPTH else "jpeg"
    source = cv2.cvtColor(image, _TO_BGR[pixels]) if pixels in _TO_BGR else image
    _, content = cv2.imencode(f".{kind}", source, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY] if kind == "jpeg" else [])
    message = CompressedImage(
        header=Header(stamp=time_to_msg(stamp), frame_id=frame_id), format=f"{encoding}; {kind} compressed "
    )
    data = array("B")
    data.frombytes(content.tobytes())
    message.data = data
    return message
