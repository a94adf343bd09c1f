"""One motion, filmed at several rates: the window and the clip that the model sees are the same."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import Literal

import cv2
import numpy as np
import pytest
import torch

from fluxformer_core.actor import ActorStyle, Performance, Stage
from fluxformer_core.flow.classical import DisFlow
from fluxformer_core.stream.admission import Admission, AdmissionResult
from fluxformer_core.stream.buffer import RollingBuffer, Window
from fluxformer_core.stream.clip import build_clip
from fluxformer_core.stream.prepare import prepare
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


@pytest.mark.parametrize("label", BRISK)
def test_velocities_agree_at_moments_that_all_rates_have(label):
    windows = {rate: filmed(label, rate) for rate in RATES}
    shared = sorted(set.intersection(*({int(s) // 1000 for s in window.stamps[1:]} for window in windows.values())))
    assert len(shared) >= 10
    fields = {
        rate: window.flow[[int(np.searchsorted(window.stamps // 1000, stamp)) for stamp in shared]]
        for rate, window in windows.items()
    }
    smooth = {rate: np.stack([cv2.blur(f, (8, 8)) for f in field]) for rate, field in fields.items()}
    for rate in RATES[:2]:
        assert cosine(smooth[rate], smooth[60]) >= 0.7
        speeds = [np.linalg.norm(smooth[r], axis=-1).mean() for r in (rate, 60)]
        assert speeds[0] == pytest.approx(speeds[1], rel=0.15)


@pytest.mark.parametrize("rate", RATES)
def test_frames_pushed_one_by_one_give_the_clip_of_the_whole_video(rate):
    """Bit by bit, after every frame."""
    film = Stage([Performance("wave", 1.0, 3.5)], rate=rate, size=(96, 96), duration=5.0)
    rolling, whole = RollingBuffer(SPEC, DisFlow()), RollingBuffer(replace(SPEC, window=512), DisFlow())
    admission, compared = Admission(SPEC, 0.5), 0
    for i in range(len(film)):
        stamp = round(i * SECOND / rate)
        if admission.judge(stamp) is not AdmissionResult.ADMIT:
            continue
        frame = prepare(film.frame(i), Pixels.RGB, SPEC)
        rolling.push(frame, stamp)
        whole.push(frame, stamp)
        clips = []
        for window in (rolling.window(), whole.window().since(max(0, len(whole) - SPEC.window))):
            chosen = chosen_of(window)
            clips.append(build_clip(window.frames[chosen], window.flow[chosen], SPEC))
        assert all(torch.equal(a, b) for a, b in zip(*clips, strict=True))
        compared += 1
    assert rolling.flows == whole.flows == compared - 1
    assert compared > SPEC.window, "the window has moved on"
