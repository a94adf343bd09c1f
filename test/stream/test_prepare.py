"""Any camera's image becomes the model's input: the right crop, colours, depth, and a clear refusal otherwise."""

from __future__ import annotations

import warnings

import cv2
import numpy as np
import pytest
from helpers import texture
from hypothesis import given, settings
from hypothesis import strategies as st

from fluxformer_core.errors import ImageError
from fluxformer_core.images import FAR_GREY, NEAR_GREY, check_image, depth_to_grey
from fluxformer_core.stream.prepare import prepare
from fluxformer_core.types import ClipSpec, Pixels

SPEC = ClipSpec(size=32)
RED, GREEN, BLUE = (200, 20, 10), (20, 180, 30), (10, 30, 220)


def scene(height: int = 48, width: int = 64) -> np.ndarray:
    """RGB: red on the left, green in the middle, blue at the right, brighter towards the top."""
    image = np.zeros((height, width, 3), np.float32)
    for i, colour in enumerate((RED, GREEN, BLUE)):
        image[:, i * width // 3 : (i + 1) * width // 3] = colour
    return (image * np.linspace(1, 0.5, height)[:, None, None]).astype(np.uint8)


def encoded(image: np.ndarray, pixels: Pixels) -> np.ndarray:
    """An RGB image as a camera of that kind would send it."""
    if pixels in (Pixels.BGR, Pixels.BGRA):
        image = image[..., ::-1]
    if pixels in (Pixels.RGBA, Pixels.BGRA):
        image = np.concatenate([image, np.full_like(image[..., :1], 7)], axis=2)
    return np.ascontiguousarray(image)


@pytest.mark.parametrize("pixels", [Pixels.BGR, Pixels.RGBA, Pixels.BGRA])
def test_the_same_scene_looks_the_same_whatever_its_encoding(pixels):
    expected = prepare(scene(), Pixels.RGB, SPEC)
    assert np.array_equal(prepare(encoded(scene(), pixels), pixels, SPEC), expected)


def test_colours_keep_their_channel():
    out = prepare(scene(60, 60), Pixels.RGB, SPEC)
    assert out.shape == (32, 32, 3)
    assert out.dtype == np.uint8
    for column, colour in ((3, RED), (16, GREEN), (28, BLUE)):
        np.testing.assert_allclose(out[0, column], colour, atol=6)


def test_grey_becomes_three_equal_channels():
    grey = texture(48, 64)
    out = prepare(grey, Pixels.GREY, SPEC)
    assert (out == out[..., :1]).all()
    assert np.array_equal(out[..., 0], cv2.resize(grey[:, 8:56], (32, 32), interpolation=cv2.INTER_AREA))


@pytest.mark.parametrize(("height", "width"), [(64, 96), (96, 64), (64, 64), (65, 96), (32, 33)])
def test_the_centre_square_is_kept(height, width):
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    image = np.full((height, width, 3), 255, np.uint8)
    image[top : top + side, left : left + side] = 50
    assert (prepare(image, Pixels.RGB, SPEC) == 50).all(), "nothing beside the square comes in"
    corners = np.full((height, width, 3), 50, np.uint8)
    corners[top, left] = corners[top + side - 1, left + side - 1] = 255
    out = prepare(corners, Pixels.RGB, SPEC)
    assert out[0, 0, 0] > 50, "and all of the square does"
    assert out[-1, -1, 0] > 50


@pytest.mark.parametrize(("height", "width"), [(48, 64), (64, 48), (480, 640), (16, 200)])
@pytest.mark.parametrize("pixels", [Pixels.RGB, Pixels.DEPTH])
def test_the_whole_image_is_squeezed_into_the_square_when_asked_for(height, width, pixels):
    image = np.zeros((height, width, 3) if pixels is Pixels.RGB else (height, width), np.uint8)
    image[:, : width // 4] = 200  # what a centre square would lose
    image[height - height // 4 :] = 200
    shown = image if pixels is Pixels.RGB else np.where(image > 0, 500, 0).astype(np.uint16)
    whole = prepare(shown, pixels, ClipSpec(size=16, framing="whole"))
    bright = whole[..., 0] > 100
    assert whole.shape == (16, 16, 3)
    assert bright[:, :4].all()
    assert bright[12:].all()
    assert not bright[1:11, 5:].any()


@pytest.mark.parametrize("darkness", [2, 5, 12])
def test_a_dark_image_is_shown_brighter_and_keeps_its_order(darkness):
    image = (scene(64, 64) // darkness).astype(np.uint8)
    shown = prepare(image, Pixels.RGB, ClipSpec(size=64, brighten=True))
    assert np.percentile(shown.max(axis=2), 99) > 1.5 * np.percentile(image.max(axis=2), 99)
    order = np.argsort(image.ravel(), kind="stable")
    assert (np.diff(shown.ravel()[order].astype(int)) >= 0).all()


def test_bright_and_black_images_and_depth_are_never_brightened():
    bright = scene(64, 64)
    bright[:8] = 255
    for image in (bright, np.zeros_like(bright)):
        assert np.array_equal(prepare(image, Pixels.RGB, ClipSpec(size=64, brighten=True)), image)
    far = np.full((64, 64), 4000, np.uint16)
    plain, asked = (prepare(far, Pixels.DEPTH, ClipSpec(size=64, brighten=b)) for b in (False, True))
    assert np.array_equal(plain, asked)


def test_a_small_image_is_enlarged_smoothly():
    grey = np.arange(0, 256, 16, dtype=np.uint8)[None].repeat(16, axis=0)
    out = prepare(grey, Pixels.GREY, SPEC)[16, :, 0].astype(int)
    assert (np.diff(out) >= 0).all()
    assert np.diff(out).max() <= 12


@pytest.mark.parametrize("pixels", [Pixels.RGB, Pixels.BGR])
def test_an_image_of_the_right_size_is_taken_as_it_is_and_neither_changed_nor_kept(pixels):
    image = scene(32, 32)
    before = image.copy()
    out = prepare(image, pixels, SPEC)
    assert np.array_equal(out, before if pixels is Pixels.RGB else before[..., ::-1])
    out[:] = 0
    assert np.array_equal(image, before)


@pytest.mark.parametrize("pixels", [Pixels.RGB, Pixels.BGR, Pixels.RGBA, Pixels.GREY, Pixels.DEPTH])
@pytest.mark.parametrize("layout", ["flipped", "strided", "transposed", "read-only"])
def test_the_memory_layout_of_an_image_does_not_matter(pixels, layout):
    if pixels is Pixels.DEPTH:
        plain = 500 + 15 * texture(64, 64).astype(np.uint16)
    elif pixels is Pixels.GREY:
        plain = texture(64, 64)
    else:
        plain = encoded(scene(64, 64), pixels)
    image = plain
    if layout == "flipped":
        image = np.ascontiguousarray(plain[:, ::-1])[:, ::-1]
    elif layout == "strided":
        image = plain.repeat(2, axis=0).repeat(2, axis=1)[::2, ::2]
    elif layout == "transposed":
        image = np.ascontiguousarray(plain.swapaxes(0, 1)).swapaxes(0, 1)
    else:
        image.flags.writeable = False
    assert np.array_equal(prepare(image, pixels, SPEC), prepare(plain.copy(), pixels, SPEC))


@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
def test_near_is_bright_far_is_dark_and_beyond_is_black(dtype):
    near, far = SPEC.depth_range
    metres = np.array([[0.1, near, 1.0, 2.5, far - 0.01, far + 0.01, 20.0]])
    image = (metres * 1000).astype(dtype) if dtype is np.uint16 else metres.astype(dtype)
    grey = depth_to_grey(image, SPEC.depth_range)[0]
    assert grey.tolist()[:2] == [NEAR_GREY, NEAR_GREY]
    assert (np.diff(grey[1:6].astype(int)) < 0).all()
    assert grey[3] == pytest.approx((NEAR_GREY + FAR_GREY) / 2, abs=1)
    assert grey[4] == pytest.approx(FAR_GREY, abs=1)
    assert grey[5:].tolist() == [0, 0]


@pytest.mark.parametrize("value", [0.0, -1.0, np.nan, np.inf, -np.inf])
def test_no_reading_is_black_and_no_warning(value):
    image = np.full((40, 40), 2.5, np.float32)
    image[:20] = value
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        out = prepare(image, Pixels.DEPTH, SPEC)
    assert (out[:15] == 0).all()
    assert (out[17:] > FAR_GREY).all()


def test_millimetres_and_metres_show_the_same():
    metres = np.random.default_rng(0).uniform(0.2, 6.0, (48, 64))
    millimetres = np.rint(metres * 1000).astype(np.uint16)
    shown = [prepare(image, Pixels.DEPTH, SPEC) for image in (millimetres, (millimetres / 1000).astype(np.float32))]
    assert np.abs(shown[0].astype(int) - shown[1]).max() <= 1


@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
def test_the_byte_order_of_depth_does_not_matter(dtype):
    millimetres = 1000 + 10 * texture(48, 48).astype(np.uint16)
    image = millimetres if dtype is np.uint16 else (millimetres / 1000).astype(dtype)
    swapped = image.astype(image.dtype.newbyteorder())
    assert swapped.dtype != image.dtype
    assert np.array_equal(prepare(swapped, Pixels.DEPTH, SPEC), prepare(image, Pixels.DEPTH, SPEC))


def test_edges_between_a_person_and_the_wall_are_no_depth_in_between():
    # One metre and four: averaging the depths would show something at 2.5 m along the edge.
    image = np.full((256, 256), 4000, np.uint16)
    image[:, :128] = 1000
    assert len(np.unique(prepare(image, Pixels.DEPTH, SPEC))) == 2


@settings(max_examples=60)
@given(
    pixels=st.sampled_from(Pixels),
    height=st.integers(1, 90),
    width=st.integers(1, 90),
    size=st.integers(16, 40),
    metres=st.booleans(),
)
def test_any_image_of_a_known_kind_is_taken(pixels, height, width, size, metres):
    channels = {Pixels.GREY: (), Pixels.DEPTH: (), Pixels.RGBA: (4,), Pixels.BGRA: (4,)}.get(pixels, (3,))
    dtype = np.uint8 if pixels is not Pixels.DEPTH else np.float32 if metres else np.uint16
    out = prepare(np.full((height, width, *channels), 3, dtype), pixels, ClipSpec(size=size))
    assert out.shape == (size, size, 3)
    assert out.dtype == np.uint8
    assert len(np.unique(out)) == 1


@pytest.mark.parametrize(
    ("pixels", "dtype", "shapes", "needed"),
    [
        (Pixels.RGB, np.uint8, [(48, 64), (48, 64, 4), (2, 48, 64, 3)], "(H, W, 3)"),
        (Pixels.RGBA, np.uint8, [(48, 64, 3)], "(H, W, 4)"),
        (Pixels.GREY, np.uint8, [(48, 64, 3), (48, 64, 1), ()], "(H, W)"),
        (Pixels.DEPTH, np.uint16, [(48, 64, 3)], "(H, W)"),
        (Pixels.RGB, np.uint8, [(0, 64, 3)], "some pixels"),
        (Pixels.DEPTH, np.uint16, [(48, 0)], "some pixels"),
        (Pixels.RGB, np.float32, [(48, 64, 3)], "uint8"),
        (Pixels.BGR, np.uint16, [(48, 64, 3)], "uint8"),
        *((Pixels.DEPTH, kind, [(48, 64)], "uint16 or float32") for kind in (np.uint8, np.float64, np.int16)),
    ],
)
def test_an_image_that_is_not_what_it_says_is_refused(pixels, dtype, shapes, needed):
    for image in (np.zeros(shape, dtype) for shape in shapes):
        found = str(image.dtype if "uint" in needed else image.shape)
        for refuse in (check_image, lambda image, pixels: prepare(image, pixels, SPEC)):
            with pytest.raises(ImageError) as caught:
                refuse(image, pixels)
            assert all(part in str(caught.value) for part in (found, needed, pixels.value))
