"""Flow that is estimated anew has the unit and the estimator of the stored flow, whatever the rate of the camera."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from helpers import PLAIN, rgb, small_spec, texture, view

from fluxformer_core.augment.pair_flow import PairFlow
from fluxformer_core.augment.training_clip import training_clip
from fluxformer_core.data.clip_store import FLOW_STEP, ClipStore, Sample, actor_clips
from fluxformer_core.errors import ConfigError
from fluxformer_core.flow.classical import DisFlow, FarnebackFlow
from fluxformer_core.stream.admission import Admission, AdmissionResult
from fluxformer_core.stream.buffer import RollingBuffer
from fluxformer_core.stream.selection import evenly
from fluxformer_core.training.loading import TrainingClips
from fluxformer_core.types import SECOND

SIDE = 64
SPEED = 0.4  # frame heights per second, to the right


def running(rate: float) -> Sample:
    """A textured person before nothing who runs through the picture of a camera of this rate, in Hz."""
    spec = small_spec(size=SIDE, window=64)
    body, admission, buffer = texture(200, 200), Admission(spec, 10.0), RollingBuffer(spec, DisFlow())
    for i in range(round(1.2 * rate)):
        stamp = round(i * SECOND / rate)
        left = SPEED * SIDE * i / rate
        picture = np.zeros((SIDE, SIDE), np.uint8)
        inside = slice(10, 56), slice(8 + round(left), 30 + round(left))
        picture[inside] = (100 + view(body, left, 0, SIDE) // 2)[inside]
        if admission.judge(stamp) is AdmissionResult.ADMIT:
            buffer.push(rgb(picture), stamp)
    window = buffer.window()
    flow = np.clip(np.rint(window.flow / FLOW_STEP), -127, 127).astype(np.int8)
    arrays = (np.array(a) for a in (window.motion, window.change, window.descriptors))
    return Sample(0, np.array(window.stamps), np.array(window.frames), flow, *arrays, depth=True)


@pytest.mark.parametrize("rate", [7.5, 15.0, 20.0, 30.0])
def test_flow_of_a_pair_is_what_was_stored_at_any_rate(rate):
    sample = running(rate)
    steps = np.diff(sample.stamps)
    if rate == 30.0:
        assert steps.min() < 0.6 * steps.max(), "20 of 30 frames per second are not evenly spaced"
    estimate = PairFlow("dis")
    again = [estimate(*sample.frames[i : i + 2], int(step)) for i, step in enumerate(steps)]
    np.testing.assert_allclose(again, sample.flow[1:] * FLOW_STEP, atol=0.51 * FLOW_STEP)


@pytest.mark.parametrize("rate", [7.5, 15.0, 20.0, 30.0])
def test_flow_of_a_rotated_view_has_the_speed_that_was_stored_at_any_rate(rate):
    sample = running(rate)
    count = len(sample.frames)
    config = replace(PLAIN, rotated_view=1.0, view_angle=0.0, depth_relief=(0.3, 0.3))
    rng = np.random.default_rng(0)
    _, flow, _ = training_clip(sample, count, {}, config, rng, evenly, pair_flow=PairFlow("dis"))
    person = sample.frames[2:-2, ..., 0] > 60
    stored, again = (np.median(f[2:-2][person][:, 0]) for f in (sample.flow * FLOW_STEP, flow))
    assert stored == pytest.approx(SPEED, rel=0.15)
    assert again == pytest.approx(stored, rel=0.1)


def test_a_pairs_flow_comes_from_the_estimator_that_is_named():
    before, here = running(20.0).frames[4:6]
    grey = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in (before, here)]
    for name, estimator in (("dis", DisFlow()), ("farneback", FarnebackFlow())):
        flow = PairFlow(name)(before, here, SECOND // 20)
        np.testing.assert_allclose(flow, estimator(*grey) * 20 / SIDE, rtol=1e-5)
    assert not PairFlow("none")(before, here, SECOND // 20).any()
    with pytest.raises(ConfigError, match="gmflow needs its weights"):
        PairFlow("gmflow")


def test_training_clips_take_the_estimator_of_the_clip(tmp_path):
    spec = small_spec(flow="farneback")
    store = ClipStore.build(actor_clips(("wave",), 1, seed=1), ("wave",), spec, tmp_path)
    assert TrainingClips([store], spec, PLAIN, 0)._pair_flow.name == "farneback"
    assert TrainingClips([store], spec, PLAIN, 0, flow="dis")._pair_flow.name == "dis"
