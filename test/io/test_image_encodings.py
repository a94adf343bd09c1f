"""Image encodings: every one against pixels built by hand, and malformed messages of every kind."""

from __future__ import annotations

import struct

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fluxformer_core.errors import ImageError
from fluxformer_core.io.image_encodings import ENCODINGS, MAX_SIDE, decode_compressed, decode_image
from fluxformer_core.types import Pixels

HEIGHT, WIDTH = 6, 8
RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)
# Studio-range BT.601 (Y, U, V) of the pure colours.
YUV = {RED: (81, 90, 240), GREEN: (145, 54, 34), BLUE: (41, 240, 110)}


def noise(*shape: int, dtype: type = np.uint8) -> np.ndarray:
    limits = np.iinfo(dtype)
    return np.random.default_rng(7).integers(limits.min, limits.max, shape, dtype, endpoint=True)


def padded(image: np.ndarray, padding: int = 5) -> tuple[int, bytes]:
    """Rows followed by rubbish, as cameras with aligned rows send them."""
    rows = [row.tobytes() + b"\xaa" * padding for row in image]
    return len(rows[0]), b"".join(rows)


@pytest.mark.parametrize(
    ("encoding", "channels", "pixels"),
    [
        ("rgb8", 3, Pixels.RGB), ("bgr8", 3, Pixels.BGR), ("8UC3", 3, Pixels.BGR), ("rgba8", 4, Pixels.RGBA),
        ("bgra8", 4, Pixels.BGRA), ("8UC4", 4, Pixels.BGRA), ("mono8", 1, Pixels.GREY), ("8UC1", 1, Pixels.GREY),
    ],
)  # fmt: skip
def test_bytes_are_viewed_not_copied(encoding: str, channels: int, pixels: Pixels) -> None:
    expected = noise(HEIGHT, WIDTH, channels) if channels > 1 else noise(HEIGHT, WIDTH)
    step, data = padded(expected)
    buffer = bytearray(data)
    image, meaning = decode_image(HEIGHT, WIDTH, encoding, 0, step, buffer)
    np.testing.assert_array_equal(image, expected)
    assert (meaning, image.dtype) == (pixels, np.dtype("u1"))
    assert np.shares_memory(image, np.frombuffer(buffer, np.uint8))


MILLIMETRES = noise(HEIGHT, WIDTH, dtype=np.uint16)
METRES = np.array([[0.0, 1.5, np.nan], [np.inf, 2.25, 4.0]], np.float32)


@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize(("encoding", "expected"), [("16UC1", MILLIMETRES), ("32FC1", METRES)])
def test_depth_keeps_numbers_and_missing_readings_in_either_byte_order(encoding, expected, big: bool) -> None:
    step, data = padded(expected.astype(expected.dtype.newbyteorder(">" if big else "<")), padding=4)
    image, pixels = decode_image(*expected.shape, encoding, big, step, data)
    np.testing.assert_array_equal(image, expected)
    assert (pixels, image.dtype, image.dtype.isnative) == (Pixels.DEPTH, expected.dtype, True)


@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize(("encoding", "channels"), [("mono16", 1), ("rgb16", 3), ("bgr16", 3)])
def test_sixteen_bit_brightness_keeps_its_high_byte(encoding: str, channels: int, big: bool) -> None:
    deep = noise(HEIGHT, WIDTH, channels, dtype=np.uint16)
    deep = deep[:, :, 0] if channels == 1 else deep
    step, data = padded(deep.astype(">u2" if big else "<u2"))
    image, pixels = decode_image(HEIGHT, WIDTH, encoding, big, step, data)
    np.testing.assert_array_equal(image, deep // 256)
    assert pixels == {"mono16": Pixels.GREY, "rgb16": Pixels.RGB, "bgr16": Pixels.BGR}[encoding]


def flat_yuv(encoding: str, colour: tuple[int, int, int]) -> np.ndarray:
    y, u, v = YUV[colour]
    if encoding in ("nv12", "nv21"):
        pair = (u, v) if encoding == "nv12" else (v, u)
        rows = np.full((HEIGHT * 3 // 2, WIDTH), y, np.uint8)
        rows[HEIGHT:] = np.tile(pair, WIDTH // 2)
        return rows
    group = (u, y, v, y) if encoding in ("uyvy", "yuv422") else (y, u, y, v)
    return np.tile(np.array(group, np.uint8), (HEIGHT, WIDTH // 2))


@pytest.mark.parametrize("colour", [RED, GREEN, BLUE])
@pytest.mark.parametrize("encoding", ["uyvy", "yuv422", "yuyv", "yuv422_yuy2", "nv12", "nv21"])
def test_shared_colour_becomes_rgb(encoding: str, colour: tuple[int, int, int]) -> None:
    step, data = padded(flat_yuv(encoding, colour), padding=6)
    image, pixels = decode_image(HEIGHT, WIDTH, encoding, False, step, data)
    assert (image.shape, pixels) == ((HEIGHT, WIDTH, 3), Pixels.RGB)
    np.testing.assert_allclose(image, np.broadcast_to(colour, image.shape), atol=3)


@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("order", ["rggb", "bggr", "gbrg", "grbg"])
def test_bayer_mosaics_become_rgb(order: str, depth: int) -> None:
    colour = {"r": 200, "g": 100, "b": 30}
    mosaic = np.tile(np.array([colour[c] for c in order], np.uint8).reshape(2, 2), (HEIGHT // 2, WIDTH // 2))
    raw = mosaic if depth == 8 else mosaic.astype("<u2") * 256 + 99
    step, data = padded(raw)
    image, pixels = decode_image(HEIGHT, WIDTH, f"bayer_{order}{depth}", False, step, data)
    assert pixels == Pixels.RGB
    np.testing.assert_array_equal(image[2:-2, 2:-2], np.broadcast_to((200, 100, 30), (HEIGHT - 4, WIDTH - 4, 3)))


def test_padding_of_the_last_row_may_be_missing() -> None:
    expected = noise(HEIGHT, WIDTH, 3)
    step, data = padded(expected)
    image, _ = decode_image(HEIGHT, WIDTH, "rgb8", False, step, data[:-5])
    np.testing.assert_array_equal(image, expected)


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"encoding": "rgb9"}, "'rgb9' is not supported; publish one of: rgb8, bgr8"),
        ({"height": 0}, "height 0 is not in 1..8192"),
        ({"width": 0, "height": MAX_SIDE + 1}, "height 8193 is not in 1..8192; width 0 is not"),
        ({"step": 23}, "a row has 23 bytes, 8 px need 24"),
        ({"data": bytes(143)}, "data has 143 bytes, 6 rows of 24 are 144"),
        ({"data": b""}, "data has 0 bytes"),
        ({"encoding": "nv12", "height": 5}, "needs even sides"),
        ({"encoding": "yuyv", "width": 7}, "needs even sides"),
        ({"encoding": "nv12", "step": 8, "data": bytes(71)}, "data has 71 bytes, 9 rows of 8 are 72"),
    ],
)
def test_damaged_images_are_refused_with_the_reason(fields: dict[str, object], error: str) -> None:
    whole = {"height": HEIGHT, "width": WIDTH, "encoding": "rgb8", "is_bigendian": 0, "step": 24, "data": bytes(144)}
    decode_image(**whole)  # type: ignore[arg-type]
    with pytest.raises(ImageError) as caught:
        decode_image(**(whole | fields))  # type: ignore[arg-type]
    assert error in str(caught.value)
    assert "\n" not in str(caught.value)


@settings(max_examples=200)
@given(
    height=st.integers(-1, 12) | st.integers(MAX_SIDE, 2**32 - 1),
    width=st.integers(-1, 12) | st.integers(MAX_SIDE, 2**32 - 1),
    encoding=st.sampled_from(ENCODINGS) | st.text(max_size=8),
    is_bigendian=st.integers(0, 255),
    step=st.integers(0, 100) | st.integers(0, 2**32 - 1),
    data=st.integers(0, 1300).map(bytes),
)
def test_any_message_gives_its_image_or_an_image_error(
    height: int, width: int, encoding: str, is_bigendian: int, step: int, data: bytes
) -> None:
    try:
        image, pixels = decode_image(height, width, encoding, is_bigendian, step, data)
    except ImageError:
        return
    assert image.shape[:2] == (height, width)
    assert image.dtype == np.uint8 or pixels is Pixels.DEPTH


def encoded(extension: str, image: np.ndarray) -> bytes:
    return bytes(cv2.imencode(extension, image)[1])


DEPTH, BGR = noise(5, 7, dtype=np.uint16), np.full((16, 16, 3), (10, 90, 200), np.uint8)
HEADER = struct.pack("<iff", 0, 0.0, 0.0)


@pytest.mark.parametrize(
    ("format", "data", "expected", "pixels"),
    [
        ("jpeg", encoded(".jpg", BGR), BGR, Pixels.BGR),
        ("rgb8; png compressed bgr8", encoded(".png", BGR), BGR, Pixels.BGR),
        ("", encoded(".png", noise(5, 7)), noise(5, 7), Pixels.GREY),
        ("", encoded(".png", noise(5, 7, 4)), noise(5, 7, 4), Pixels.BGRA),
        *((f, encoded(".png", DEPTH), DEPTH, Pixels.DEPTH) for f in ("", "png", "16UC1; png compressed ")),
        ("mono16; png compressed ", encoded(".png", DEPTH), DEPTH // 256, Pixels.GREY),
        ("16UC1; compressedDepth png", HEADER + encoded(".png", DEPTH), DEPTH, Pixels.DEPTH),
    ],
)
def test_compressed_images_have_the_pixels_that_their_format_says(format, data: bytes, expected, pixels) -> None:
    image, meaning = decode_compressed(format, data)
    np.testing.assert_allclose(image, expected, atol=3 if format == "jpeg" else 0)
    assert meaning == pixels


def test_compressed_depth_of_floats_is_in_metres() -> None:
    metres = np.array([[0.8, 1.0, 2.0], [3.5, 4.0, 9.0]], np.float32)
    scale = 100.0 * 101.0
    offset = 1.0 - scale / 10.0
    code = np.rint(scale / metres + offset).astype(np.uint16)
    code[0, 0] = 0
    data = struct.pack("<iff", 1, scale, offset) + encoded(".png", code)
    image, pixels = decode_compressed("32FC1; compressedDepth", data)
    assert (pixels, image.dtype) == (Pixels.DEPTH, np.dtype("f4"))
    assert np.isnan(image[0, 0])
    np.testing.assert_allclose(image.flat[1:], metres.flat[1:], rtol=5e-3)


WHOLE_JPEG, WHOLE_PNG = encoded(".jpg", noise(64, 64, 3)), encoded(".png", noise(64, 64))


@pytest.mark.parametrize(
    ("format", "data", "error"),
    [
        ("jpeg", b"", "is empty"),
        ("jpeg", WHOLE_JPEG[: len(WHOLE_JPEG) // 2], "cut short"),
        ("png", WHOLE_PNG[: len(WHOLE_PNG) // 2], "cut short"),
        ("png", b"\x89PNG then nothing IEND", "is damaged"),
        ("jpeg", b"no image at all", "neither JPEG nor PNG"),
        ("16UC1; compressedDepth png", b"short", "do not hold a header"),
        ("16UC1; compressedDepth png", bytes(12) + WHOLE_PNG, "16-bit PNG expected, found uint8"),
        ("16UC1; compressedDepth rvl", bytes(40), "RVL is not supported"),
        ("png", encoded(".png", np.zeros((1, MAX_SIDE + 1), np.uint8)), "width 8193 is not in 1..8192"),
        ("tiff", encoded(".tiff", np.zeros((4, 4), np.float32)), "1 channels of float32; use"),
    ],
)
def test_damaged_compressed_images_are_refused_with_the_reason(format: str, data: bytes, error: str) -> None:
    with pytest.raises(ImageError) as caught:
        decode_compressed(format, data)
    assert error in str(caught.value)
    assert "\n" not in str(caught.value)


@settings(max_examples=100)
@given(
    format=st.sampled_from(["jpeg", "png", "16UC1; compressedDepth png", "32FC1; compressedDepth", ""]),
    whole=st.sampled_from([WHOLE_JPEG, WHOLE_PNG, bytes(12) + WHOLE_PNG]),
    place=st.floats(0, 1, exclude_max=True),
    rubbish=st.binary(max_size=20),
)
def test_any_damage_gives_an_image_or_an_image_error(format: str, whole: bytes, place: float, rubbish: bytes) -> None:
    at = int(place * len(whole))
    data = whole[:at] + rubbish + whole[at + len(rubbish) :]
    try:
        image, _ = decode_compressed(format, data)
    except ImageError:
        return
    assert image.size > 0
