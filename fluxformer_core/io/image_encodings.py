"""Decoding of images from the fields of ROS messages. The module needs no ROS.

If the recogniser can use the bytes of a message as they are, the decoded array is a read-only view of the message's
buffer: decoding a 1080p colour image then takes microseconds. Depth follows REP 118: `16UC1` holds millimetres, `32FC1`
holds metres. `mono16` holds brightness.
"""

from __future__ import annotations

import struct
from fractions import Fraction
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np

from fluxformer_core.errors import ImageError
from fluxformer_core.types import Pixels

if TYPE_CHECKING:
    from typing_extensions import Buffer

MAX_SIDE = 8192
"""Largest height and width in pixels; a larger image comes from a damaged message."""

_JPEG_START, _JPEG_END = b"\xff\xd8", b"\xff\xd9"
_PNG_START, _PNG_END = b"\x89PNG", b"IEND"
_DEPTH_HEADER = struct.Struct("<iff")  # of compressedDepth: format number, then two constants of the depth encoding


class _Layout(NamedTuple):
    """Memory layout of an encoding, and the conversion to pixels. 16-bit brightness is reduced to its high byte."""

    dtype: str
    channels: int
    pixels: Pixels
    conversion: int | None = None  # code for cv2.cvtColor; None: the channels are pixels already
    sharing: tuple[int, int] = (1, 1)  # rows and columns of the neighbours that share a colour
    rows: Fraction = Fraction(1)  # rows of data for each row of the image; planar colour follows below the brightness


_UYVY = _Layout("u1", 2, Pixels.RGB, cv2.COLOR_YUV2RGB_UYVY, (1, 2))
_YUYV = _Layout("u1", 2, Pixels.RGB, cv2.COLOR_YUV2RGB_YUYV, (1, 2))
_LAYOUTS: dict[str, _Layout] = {
    "rgb8": _Layout("u1", 3, Pixels.RGB),
    "bgr8": _Layout("u1", 3, Pixels.BGR),
    "rgba8": _Layout("u1", 4, Pixels.RGBA),
    "bgra8": _Layout("u1", 4, Pixels.BGRA),
    "mono8": _Layout("u1", 1, Pixels.GREY),
    "8UC1": _Layout("u1", 1, Pixels.GREY),
    "8UC3": _Layout("u1", 3, Pixels.BGR),  # channels without names are in OpenCV's order
    "8UC4": _Layout("u1", 4, Pixels.BGRA),
    "rgb16": _Layout("u2", 3, Pixels.RGB),
    "bgr16": _Layout("u2", 3, Pixels.BGR),
    "mono16": _Layout("u2", 1, Pixels.GREY),
    "16UC1": _Layout("u2", 1, Pixels.DEPTH),
    "32FC1": _Layout("f4", 1, Pixels.DEPTH),
    "uyvy": _UYVY,
    "yuv422": _UYVY,  # an older name of uyvy
    "yuyv": _YUYV,
    "yuv422_yuy2": _YUYV,
    "nv12": _Layout("u1", 1, Pixels.RGB, cv2.COLOR_YUV2RGB_NV12, (2, 2), Fraction(3, 2)),
    "nv21": _Layout("u1", 1, Pixels.RGB, cv2.COLOR_YUV2RGB_NV21, (2, 2), Fraction(3, 2)),
} | {
    f"bayer_{order}{8 * size}": _Layout(f"u{size}", 1, Pixels.RGB, getattr(cv2, f"COLOR_Bayer{order.upper()}2RGB"))
    for size in (1, 2)
    for order in ("rggb", "bggr", "gbrg", "grbg")
}

ENCODINGS: tuple[str, ...] = tuple(_LAYOUTS)
"""Encodings that `decode_image` understands, by their names in sensor_msgs/image_encodings."""


def decode_image(
    height: int, width: int, encoding: str, is_bigendian: bool | int, step: int, data: Buffer
) -> tuple[np.ndarray, Pixels]:
    """Decode the fields of a sensor_msgs/Image to the image, (H, W) or (H, W, C), and the kind of its pixels.

    `step` is the number of bytes from one row to the next, padding included; the padding of the last row may be
    missing. The image is a view of `data` unless the encoding needs a conversion.

    Raises:
        ImageError: if the encoding is unknown, a side is zero or above 8192, or step or data are too small.
    """
    layout = _LAYOUTS.get(encoding)
    if layout is None:
        raise ImageError(f"image encoding {encoding[:40]!r} is not supported; publish one of: {', '.join(ENCODINGS)}")
    buffer = memoryview(data)
    dtype = np.dtype(layout.dtype).newbyteorder(">" if is_bigendian else "<")
    pixel, row = dtype.itemsize * layout.channels, dtype.itemsize * layout.channels * width
    rows = int(height * layout.rows)

    wrong = _wrong_sides(height, width)
    if not wrong and (height % layout.sharing[0] or width % layout.sharing[1]):
        wrong.append("this encoding shares colour between neighbours and needs even sides")
    if not wrong and step < row:
        wrong.append(f"a row has {step} bytes, {width} px need {row}")
    elif not wrong and buffer.nbytes < step * (rows - 1) + row:
        wrong.append(f"data has {buffer.nbytes} bytes, {rows} rows of {step} are {step * rows}")
    if wrong:
        raise ImageError(f"damaged {encoding} image of {width}x{height} px: {'; '.join(wrong)}")

    shape, strides = (rows, width, layout.channels), (step, pixel, dtype.itemsize)
    axes = 2 if layout.channels == 1 else 3
    image = np.ndarray(shape[:axes], dtype, buffer.cast("B"), strides=strides[:axes])
    if not dtype.isnative:
        image = image.astype(dtype.newbyteorder("="))
    if layout.dtype == "u2" and layout.pixels is not Pixels.DEPTH:
        image = _high_byte(image)
    if layout.conversion is not None:
        image = cv2.cvtColor(image, layout.conversion)
    return image, layout.pixels


def decode_compressed(format: str, data: Buffer) -> tuple[np.ndarray, Pixels]:
    """Decode the fields of a sensor_msgs/CompressedImage, or the content of an image file with an empty `format`.

    `format` is as image_transport writes it: "jpeg", "rgb8; jpeg compressed bgr8", "16UC1; compressedDepth png", ...
    `data` is a whole JPEG or PNG file; for compressedDepth, a 12-byte header comes first. The result is the image,
    (H, W) or (H, W, C), and the kind of its pixels. A 16-bit PNG of one channel is depth unless the format begins with
    "mono16".

    Raises:
        ImageError: if the data are empty, cut short, no image, or of an unsupported kind.
    """
    content = bytes(memoryview(data))
    encoding = format.partition(";")[0].strip()
    if "compressedDepth" not in format:
        return _with_kind(_decode_file(content), encoding)
    if "rvl" in format.lower():
        raise ImageError(f"compressed image {format!r}: RVL is not supported; set the format of compressedDepth to png")
    if len(content) <= _DEPTH_HEADER.size:
        raise ImageError(f"damaged compressedDepth image: {len(content)} bytes do not hold a header and an image")
    _, scale, offset = _DEPTH_HEADER.unpack_from(content)
    code = _decode_file(content[_DEPTH_HEADER.size :])
    if _channels(code) != 1 or code.dtype != np.uint16:
        raise ImageError(f"damaged compressedDepth image: 16-bit PNG expected, found {code.dtype} {code.shape}")
    return (_inverse_depth(code, scale, offset) if encoding == "32FC1" else code), Pixels.DEPTH


def _wrong_sides(height: int, width: int) -> list[str]:
    sides = {"height": height, "width": width}
    return [f"{name} {side} is not in 1..{MAX_SIDE}" for name, side in sides.items() if not 1 <= side <= MAX_SIDE]


def _decode_file(content: bytes) -> np.ndarray:
    """Decode a complete JPEG or PNG file.

    The decoders turn half a file into half a picture without an error, and half a picture looks like motion.
    """
    end = {_JPEG_START: _JPEG_END, _PNG_START[:2]: _PNG_END}.get(content[:2])
    if not content:
        raise ImageError("compressed image is empty")
    if end is not None and end not in content:
        raise ImageError(f"compressed image is cut short: {len(content)} bytes without its end marker")
    try:
        image = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        raise ImageError(f"compressed image cannot be decoded: {error.err}") from error
    if image is None:
        raise ImageError(f"compressed image of {len(content)} bytes is neither JPEG nor PNG, or is damaged")
    if wrong := _wrong_sides(*image.shape[:2]):
        raise ImageError(f"compressed image cannot be used: {'; '.join(wrong)}")
    return image


def _with_kind(image: np.ndarray, encoding: str) -> tuple[np.ndarray, Pixels]:
    channels = _channels(image)
    if image.dtype == np.uint16 and channels == 1 and encoding != "mono16":
        return image, Pixels.DEPTH
    if image.dtype == np.uint16:
        image = _high_byte(image)
    pixels = {1: Pixels.GREY, 3: Pixels.BGR, 4: Pixels.BGRA}.get(channels)
    if image.dtype != np.uint8 or pixels is None:
        raise ImageError(f"compressed image: {channels} channels of {image.dtype}; use 8-bit colour or 16-bit depth")
    return image, pixels


def _high_byte(image: np.ndarray) -> np.ndarray:
    return (image >> 8).astype(np.uint8)


def _channels(image: np.ndarray) -> int:
    return int((*image.shape, 1)[2])


def _inverse_depth(code: np.ndarray, scale: float, offset: float) -> np.ndarray:
    """Depth in metres from the code of compressedDepth: code = scale / depth + offset; code 0 means no reading."""
    with np.errstate(divide="ignore", invalid="ignore"):
        depth = np.float32(scale) / (code.astype(np.float32) - np.float32(offset))
    return np.where(code > 0, depth, np.float32(np.nan))


def encoding_of(image: np.ndarray, pixels: Pixels) -> str:
    """The ROS name of an image's encoding; an ImageError if the array's type does not fit `pixels`."""
    types = ("uint16", "float32") if pixels is Pixels.DEPTH else ("uint8",)
    if image.dtype not in types:
        raise ImageError(f"{pixels.value} images are {' or '.join(types)}, not {image.dtype}")
    return next(name for name, (dtype, _, kind, *_) in _LAYOUTS.items() if kind is pixels and image.dtype == dtype)
