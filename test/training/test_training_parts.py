"""What a training is made of besides its loop: the draw of clips, their mixing, and the temperature."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from fluxformer_core.data.clip_store import ClipStore
from fluxformer_core.errors import ConfigError
from fluxformer_core.training.calibration import COLDEST, HOTTEST, fit_temperature
from fluxformer_core.training.loading import WeightedEpochSampler, expected_draws
from fluxformer_core.training.module import mix

LABELS = ("clap", "walk", "wave")


def store(name: str, *classes: int) -> ClipStore:
    return ClipStore([(Path("unread"), label, False) for label in classes], LABELS, name=name)


def drawn(expected: np.ndarray, batch: int, epoch: int = 0) -> list[int]:
    sampler = WeightedEpochSampler(expected, batch, seed=1)
    sampler.set_epoch(epoch)
    clips = [clip for _, _, clip in sampler]
    assert len(clips) == len(sampler)
    return clips


def test_an_epoch_shows_every_clip_once_in_an_order_of_its_own():
    first, second = drawn(np.ones(20), 5), drawn(np.ones(20), 5, epoch=1)
    assert sorted(first) == sorted(second) == list(range(20))
    assert first not in (second, list(range(20)))
    assert len(drawn(np.ones(20), 8)) == 16, "whole batches only"


def test_a_weighted_epoch_shows_clips_as_often_as_expected():
    expected = np.array([0.5] * 10 + [2.25] * 4 + [1.0] * 6)
    counts = np.array([np.bincount(drawn(expected, 1, epoch), minlength=20) for epoch in range(200)])
    assert set(counts.sum(axis=1)) == {20}
    assert (counts >= np.floor(expected)).all()
    assert (counts <= np.ceil(expected)).all()
    np.testing.assert_allclose(counts.mean(axis=0), expected, atol=0.15)


def test_sources_get_their_share_of_an_epoch():
    stores = [store("real", 0, 1), store("actor", *[2] * 8), store("more", 0, 0)]
    expected = expected_draws(stores, {"actor": 0.25}, balanced=False, count=None)
    np.testing.assert_allclose(expected, [2.25] * 2 + [0.375] * 8 + [2.25] * 2)
    assert expected_draws(stores, {}, balanced=False, count=24).tolist() == [2.0] * 12


def test_labels_may_be_shown_equally_often():
    expected = expected_draws([store("real", 0, 0, 0, 2)], {}, balanced=True, count=None)
    np.testing.assert_allclose(expected, [2 / 3, 2 / 3, 2 / 3, 2])


@pytest.mark.parametrize(
    "shares", [{"nobody": 0.5}, {"real": 1.5}, {"real": -0.1}, {"real": 1.0}, {"real": 0.5, "actor": 0.2}]
)
def test_shares_without_sense_are_refused(shares):
    with pytest.raises(ConfigError, match=r"share|no data called nobody"):
        expected_draws([store("real", 0), store("actor", 1)], shares, balanced=False, count=None)


def batch() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Every clip one number, its flow ten times that, and a label of its own."""
    number = torch.arange(4.0).view(4, 1, 1, 1, 1)
    rgb = number.expand(4, 3, 2, 8, 8)
    return rgb, 10 * rgb, F.one_hot(torch.arange(4), 4).float()


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("mixup", "cutmix"), [(0.8, 0.0), (0.0, 1.0), (0.8, 1.0)])
def test_rgb_flow_and_labels_are_mixed_alike(seed, mixup, cutmix):
    torch.manual_seed(seed)
    rgb, flow, target = mix(*batch(), mixup, cutmix)
    torch.testing.assert_close(flow, 10 * rgb)
    torch.testing.assert_close(target.sum(1), torch.ones(4))
    # A clip's mean is that of the numbers that its labels name.
    torch.testing.assert_close(rgb.mean(dim=(1, 2, 3, 4)), target @ torch.arange(4.0))
    if cutmix and not mixup:
        assert set(rgb.unique().tolist()) <= {0.0, 1.0, 2.0, 3.0}


def test_without_mixing_a_batch_stays_as_it_is():
    parts = batch()
    assert all(ours is theirs for ours, theirs in zip(mix(*parts, 0.0, 0.0), parts, strict=True))


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_the_temperature_makes_probabilities_true(temperature):
    generator = torch.Generator().manual_seed(0)
    true = torch.randn(4000, 5, generator=generator) * 2
    classes = torch.multinomial(true.softmax(1), 1, generator=generator)[:, 0]
    assert fit_temperature(true * temperature, classes) == pytest.approx(temperature, rel=0.08)


def test_the_temperature_has_limits():
    logits = torch.eye(3)
    assert fit_temperature(logits, torch.arange(3)) == pytest.approx(COLDEST, rel=1e-3)
    assert fit_temperature(logits, torch.tensor([1, 2, 0])) == pytest.approx(HOTTEST, rel=1e-3)
