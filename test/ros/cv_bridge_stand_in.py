"""Stands in for the Python API of ROS 2's cv_bridge, which has no wheel: the documented behaviour of `CvBridge`.

Rows are cut to the width after the step was divided by the bytes of a pixel, other byte orders are swapped, and
conversions go by cv2.cvtColor. What is not documented is left out.
"""

from __future__ import annotations

import sys

import cv2
import numpy as np
from sensor_msgs.msg import Image
from std_msgs.msg import Header

_TYPES = {
    **dict.fromkeys(("rgb8", "bgr8", "8UC3"), ("uint8", 3)),
    **dict.fromkeys(("rgba8", "bgra8", "8UC4"), ("uint8", 4)),
    **dict.fromkeys(("mono8", "8UC1"), ("uint8", 1)),
    **{f"bayer_{order}8": ("uint8", 1) for order in ("rggb", "bggr", "gbrg", "grbg")},
    **dict.fromkeys(("yuv422", "yuv422_yuy2"), ("uint8", 2)),
    **dict.fromkeys(("mono16", "16UC1"), ("uint16", 1)),
    **dict.fromkeys(("rgb16", "bgr16"), ("uint16", 3)),
    "32FC1": ("float32", 1),
}
_TO_RGB = {
    "yuv422": cv2.COLOR_YUV2RGB_UYVY,
    "yuv422_yuy2": cv2.COLOR_YUV2RGB_YUY2,
    "bayer_rggb8": cv2.COLOR_BayerBG2RGB,
    "bayer_bggr8": cv2.COLOR_BayerRG2RGB,
    "bayer_gbrg8": cv2.COLOR_BayerGR2RGB,
    "bayer_grbg8": cv2.COLOR_BayerGB2RGB,
}


class CvBridge:
    """Counts its conversions, so that a test sees whether the bridge was used."""

    def __init__(self) -> None:
        self.conversions = 0

    def encoding_to_cvtype2(self, encoding: str) -> tuple[str, int]:
        return _TYPES[encoding]

    def imgmsg_to_cv2(self, img_msg: Image, desired_encoding: str = "passthrough") -> np.ndarray:
        name, channels = self.encoding_to_cvtype2(img_msg.encoding)
        dtype = np.dtype(name).newbyteorder(">" if img_msg.is_bigendian else "<")
        columns = int(img_msg.step / dtype.itemsize / channels)
        image = np.ndarray((img_msg.height, columns, channels)[: 2 + (channels > 1)], dtype, img_msg.data)
        image = np.ascontiguousarray(image[: img_msg.height, : img_msg.width])
        if img_msg.is_bigendian == (sys.byteorder == "little"):
            image = image.astype(dtype.newbyteorder("="))
        if desired_encoding != "passthrough":
            image = cv2.cvtColor(image, _TO_RGB[img_msg.encoding])
        self.conversions += 1
        return image

    def cv2_to_imgmsg(self, cvim: np.ndarray, encoding: str = "passthrough", header: Header | None = None) -> Image:
        if self.encoding_to_cvtype2(encoding) != (cvim.dtype.name, (*cvim.shape, 1)[2]):
            raise TypeError(f"encoding specified as {encoding}, but image has incompatible type {cvim.dtype}")
        message = Image(header=header, height=cvim.shape[0], width=cvim.shape[1], encoding=encoding)
        message.data.frombytes(cvim.tobytes())
        message.step = len(message.data) // message.height
        self.conversions += 1
        return message
