"""Rates: of cameras, at all of which the model sees the same clip, and of recognitions, by the stamps."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import lru_cache
from typing import Literal

import numpy as np
import pytest
from helpers import EPOCH, recognitions_of, rgb, small_bundle, texture

from fluxformer_core.actor import ActorStyle, Performance, Stage
from fluxformer_core.flow.classical import DisFlow
from fluxformer_core.stream.admission import Admission, AdmissionResult
from fluxformer_core.stream.buffer import RollingBuffer, Window
from fluxformer_core.stream.clip import build_clip
from fluxformer_core.stream.config import RecognizerConfig
from fluxformer_core.stream.prepare import prepare
from fluxformer_core.stream.recognizer import Recognizer
from fluxformer_core.stream.selection import choose
from fluxformer_core.types import SECOND, ClipSpec, Pixels

SPEC = ClipSpec()
RATES = (15, 30, 60)
BRISK = ("wave", "throw", "draw_circle_cw", "tennis_serve")


@lru_cache
def filmed(label: str, rate: int, mode: Literal["depth", "colour"] = "depth", noise: float = 0.0) -> Window:
    """What the buffer holds of an action before a camera."""
    style = replace(ActorStyle(), noise=noise)
    script = [Performance(label, 0.6, 3.0)]
    film = Stage(script, rate=rate, mode=mode, size=(128, 128), style=style, duration=3.6)
    pixels = Pixels.DEPTH if mode == "depth" else Pixels.RGB
    buffer, admission = RollingBuffer(replace(SPEC, window=256), DisFlow()), Admission(SPEC, 0.5)
    for i in range(len(film)):
        stamp = round(i * SECOND / rate)
        if admission.judge(stamp) is AdmissionResult.ADMIT:
            buffer.push(prepare(film.frame(i), pixels, SPEC), stamp)
    return buffer.window()


def chosen_of(window: Window) -> np.ndarray:
    return choose(window.motion, window.change, window.descriptors, SPEC.frames).indices


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    return float((a * b).sum() / (np.linalg.norm(a) * np.linalg.norm(b)))


@pytest.mark.parametrize(
    ("label", "mode"),
    [("squat", "depth"), ("squat", "colour"), ("stand_to_sit", "depth"), ("lunge", "depth")],
)
def test_at_any_rate_a_calm_action_gives_one_clip(label, mode):
    clips, times = {}, {}
    for rate in RATES:
        window = filmed(label, rate, mode)
        chosen = chosen_of(window)
        times[rate] = window.stamps[chosen]
        clips[rate] = build_clip(window.frames[chosen], window.flow[chosen], SPEC)[1][0].numpy()
    for rate in RATES[:2]:
        assert np.abs(times[rate] - times[60]).max() <= SPEC.period + 2  # stamps are rounded
        assert cosine(clips[rate], clips[60]) >= 0.9


@pytest.mark.parametrize("noise", [0.0, 1.0])
@pytest.mark.parametrize("label", BRISK)
def test_at_any_rate_brisk_actions_are_seen_at_the_same_moments(label, noise):
    """Flow turns round within a frame of theirs: only the moments are compared."""
    times = {rate: (window := filmed(label, rate, noise=noise)).stamps[chosen_of(window)] for rate in RATES}
    for rate in RATES[:2]:
        apart = np.abs(times[rate] - times[60]) / (SPEC.period + 2)
        assert (apart <= 1).mean() >= 0.75
        assert apart.max() <= 3
        assert apart.mean() <= 0.7


STILL = rgb(texture(32, 32))


def stamps_of(camera: float, seconds: float) -> list[int]:
    return [EPOCH + round(i * SECOND / camera) for i in range(round(seconds * camera))]


def recognized(stamps: Iterable[int], **settings: float) -> list[int]:
    """The stamps at which there is a recognition of a still scene."""
    recognizer = Recognizer(small_bundle(), RecognizerConfig(**settings))
    return [r.stamp for r in recognitions_of(recognizer.push(STILL, stamp) for stamp in stamps)]


@pytest.mark.parametrize("wanted", [2.0, 7.5, 20.0])
@pytest.mark.parametrize("camera", [7.0, 20.0, 60.0])
def test_recognitions_come_at_their_rate_by_stamp(camera, wanted):
    found = recognized(stamps_of(camera, 10), recognition_rate=wanted)
    assert len(found) == pytest.approx(10 * min(wanted, camera, SPEC.rate), rel=0.08)


@pytest.mark.parametrize(("rate", "jitter", "expected"), [(7.5, 0, {0.1, 0.15}), (10.0, SECOND // 200, {0.1})])
def test_recognitions_are_evenly_spaced_even_if_the_camera_jitters(rate, jitter, expected):
    late = np.random.default_rng(0).integers(-jitter, jitter + 1, 200)
    gaps = np.diff(recognized(np.array(stamps_of(20.0, 10)) + late, recognition_rate=rate)) / SECOND
    frames = np.rint(gaps * 20)
    assert set(frames.tolist()) == {round(20 * gap) for gap in expected}
    assert np.abs(gaps - frames / 20).max() < 0.02


@pytest.mark.parametrize("lost", [range(61, 62), range(61, 64), range(61, 69), range(61, 76), range(60, 79)])
def test_lost_frames_do_not_shift_later_recognitions(lost):
    """The last two are gaps that empty the window."""
    stamps = stamps_of(30.0, 6)
    kept = [stamp for index, stamp in enumerate(stamps) if index not in lost]
    whole, rest = ([stamp for stamp in recognized(part) if stamp >= stamps[82]] for part in (stamps, kept))
    assert rest == whole


def test_another_recognition_rate_takes_effect_at_the_next_push():
    recognizer = Recognizer(small_bundle(), RecognizerConfig(recognition_rate=0.1))
    stamps, counts = stamps_of(20.0, 4), []
    for rate, part in ((0.1, stamps[:20]), (10.0, stamps[20:40]), (1.0, stamps[40:])):
        recognizer.config = RecognizerConfig(recognition_rate=rate)
        counts.append(len(recognitions_of(recognizer.push(STILL, stamp) for stamp in part)))
    assert counts == [1, pytest.approx(10, abs=1), pytest.approx(2, abs=1)]


def test_a_config_that_leaves_the_rate_alone_does_not_disturb_the_rhythm():
    stamps, recognizer, found = stamps_of(20.0, 3), Recognizer(small_bundle()), []
    for stamp in stamps:
        recognizer.config = RecognizerConfig(top_k=1)
        found += recognitions_of([recognizer.push(STILL, stamp)])
    assert [recognition.stamp for recognition in found] == recognized(stamps)
