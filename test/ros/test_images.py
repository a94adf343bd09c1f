"""Image messages become arrays and back, with cv_bridge and without; test/io tests the encodings themselves.

cv_bridge has no wheel. Its part is tested with the real package where ROS 2 installed it, and always with a stand-in.
"""

from __future__ import annotations

import importlib
import sys
from array import array
from collections.abc import Iterator
from importlib.util import find_spec
from types import ModuleType
from typing import Any

import cv_bridge_stand_in
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sensor_msgs.msg import CompressedImage, Image

from fluxformer_core.errors import ImageError
from fluxformer_core.io.image_encodings import ENCODINGS
from fluxformer_core.types import SECOND, Pixels
from fluxformer_ros.node import images
from fluxformer_ros.node.images import image_from_msg, image_to_compressed, image_to_msg
from fluxformer_ros.node.messages import time_from_msg

NOISE = np.random.default_rng(3)
STAMP = 5 * SECOND + 7


COLOURS = {"rgb8": Pixels.RGB, "bgr8": Pixels.BGR, "rgba8": Pixels.RGBA, "bgra8": Pixels.BGRA}
IMAGES = {
    **{name: (NOISE.integers(0, 256, (6, 10, len(name) - 1), np.uint8), pixels) for name, pixels in COLOURS.items()},
    "mono8": (NOISE.integers(0, 256, (6, 10), np.uint8), Pixels.GREY),
    "16UC1": (NOISE.integers(0, 9000, (6, 10), np.uint16), Pixels.DEPTH),
    "32FC1": (NOISE.random((6, 10), np.float32), Pixels.DEPTH),
}


@pytest.fixture(autouse=True)
def without_cv_bridge(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    use(monkeypatch, None)
    yield
    images._bridge.cache_clear()


def use(monkeypatch: pytest.MonkeyPatch, cv_bridge: ModuleType | None) -> Any:
    """Make `import cv_bridge` find this module, or no module; returns the converter that `images` uses now."""
    monkeypatch.setitem(sys.modules, "cv_bridge", cv_bridge)
    images._bridge.cache_clear()
    return images._bridge()


@pytest.fixture(params=["cv_bridge_stand_in", *(["cv_bridge"] if find_spec("cv_bridge") else [])])
def cv_bridge(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.undo()
    return importlib.import_module(request.param)


@pytest.mark.parametrize("encoding", IMAGES)
def test_a_part_of_an_image_comes_back_as_a_view_of_the_message(encoding: str) -> None:
    image, pixels = IMAGES[encoding][0][1:5, 2:9], IMAGES[encoding][1]
    message = image_to_msg(image, pixels, STAMP, "eye")
    assert (message.encoding, message.header.frame_id, time_from_msg(message.header.stamp)) == (encoding, "eye", STAMP)
    assert (message.height, message.width, message.step) == (4, 7, image[0].nbytes)
    back, meaning = image_from_msg(message)
    assert meaning is pixels
    np.testing.assert_array_equal(back, image)
    assert np.shares_memory(back, np.frombuffer(message.data, np.uint8))


@pytest.mark.parametrize("encoding", [*COLOURS, "mono8"])
def test_compressed_images_keep_the_order_of_colours(encoding: str) -> None:
    image, pixels = IMAGES[encoding]
    image = np.zeros((32, 32, *image.shape[2:]), np.uint8)
    image[..., :1] = 200  # the first colour, or the whole of a grey image
    back, meaning = image_from_msg(image_to_compressed(image, pixels, STAMP, ""))
    expected = image[..., :3] if image.ndim == 3 else image
    if pixels in (Pixels.RGB, Pixels.RGBA):
        expected = expected[..., ::-1]
    assert meaning is (Pixels.GREY if pixels is Pixels.GREY else Pixels.BGR)
    np.testing.assert_allclose(back.astype(int), expected, atol=6)


def test_compressed_depth_keeps_every_millimetre() -> None:
    image = IMAGES["16UC1"][0]
    back, meaning = image_from_msg(image_to_compressed(image, Pixels.DEPTH, STAMP, ""))
    assert meaning is Pixels.DEPTH
    np.testing.assert_array_equal(back, image)


def test_an_array_of_the_wrong_type_is_refused() -> None:
    with pytest.raises(ImageError, match="rgb images are uint8, not float64"):
        image_to_msg(np.zeros((4, 4, 3)), Pixels.RGB, STAMP, "")
    with pytest.raises(ImageError, match="metres"):
        image_to_compressed(IMAGES["32FC1"][0], Pixels.DEPTH, STAMP, "")


SIDES = st.one_of(st.integers(0, 40), st.integers(0, 2**32 - 1))


SIZES = {"height": SIDES, "width": SIDES, "step": SIDES, "is_bigendian": st.integers(0, 255)}
NAMES = st.sampled_from([*ENCODINGS, "", "rgb7"])
FORMATS = st.sampled_from(["", "jpeg", "png", "16UC1; compressedDepth png", "32FC1; compressedDepth rvl"])
FILES = st.binary(max_size=100) | st.binary(max_size=60).map(b"\xff\xd8".__add__)


@given(
    st.builds(Image, **SIZES, encoding=NAMES, data=st.binary(max_size=400))
    | st.builds(CompressedImage, format=FORMATS, data=FILES)
)
def test_any_message_is_an_image_or_an_image_error(message: Image | CompressedImage) -> None:
    answers = []
    for module in (None, cv_bridge_stand_in):
        with pytest.MonkeyPatch.context() as monkeypatch:
            use(monkeypatch, module)
            try:
                image, pixels = image_from_msg(message)
                answers.append(str((image.tolist(), pixels)))  # as text, in which nan equals nan
                assert min(image.shape[:2]) >= 1
            except ImageError as error:
                answers.append(str(error))
    assert answers[0] == answers[1]
    assert "\n" not in answers[0]


@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("padding", [0, 1, 12])
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_cv_bridge_and_the_projects_own_decoder_read_the_same_image(
    cv_bridge: ModuleType, monkeypatch: pytest.MonkeyPatch, encoding: str, padding: int, big: bool
) -> None:
    size = {"rgb16": 6, "bgr16": 6, "32FC1": 4}.get(encoding, images._BRIDGED.get(encoding, ("", None, 2))[2])
    message = Image(height=6, width=8, encoding=encoding, is_bigendian=int(big), step=8 * size + padding)
    message.data = array("B", NOISE.integers(0, 256, 9 * message.step, np.uint8).tobytes())
    use(monkeypatch, None)
    own, own_pixels = image_from_msg(message)
    bridge = use(monkeypatch, cv_bridge)
    image, pixels = image_from_msg(message)
    np.testing.assert_array_equal(image, own)
    assert (pixels, image.dtype) == (own_pixels, own.dtype)
    if isinstance(bridge, cv_bridge_stand_in.CvBridge):
        assert bridge.conversions == (encoding in images._BRIDGED and not padding)


@pytest.mark.parametrize("encoding", IMAGES)
def test_cv_bridge_writes_the_same_message(cv_bridge: ModuleType, monkeypatch: Any, encoding: str) -> None:
    image, pixels = IMAGES[encoding]
    use(monkeypatch, None)
    own = image_to_msg(image[1:5, 2:9], pixels, STAMP, "eye")
    assert use(monkeypatch, cv_bridge) is not None
    assert image_to_msg(image[1:5, 2:9], pixels, STAMP, "eye") == own


def test_a_cv_bridge_whose_compiled_half_does_not_load_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_bridge: Any, _encoding: str) -> Any:
        raise ImportError("numpy.core.multiarray failed to import")

    assert use(monkeypatch, cv_bridge_stand_in) is not None
    monkeypatch.setattr(cv_bridge_stand_in.CvBridge, "encoding_to_cvtype2", broken)
    assert use(monkeypatch, cv_bridge_stand_in) is None
