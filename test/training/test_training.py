"""Training: clips are learnt, and a training can be repeated, continued, checked and confined to the head."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import PLAIN, small_config, small_model, small_spec
from torch import Tensor, nn

from fluxformer_core.augment.config import AugmentConfig
from fluxformer_core.data.clip_store import ClipStore, actor_clips
from fluxformer_core.errors import ConfigError
from fluxformer_core.training.loading import Loader, TrainingClips, WeightedEpochSampler
from fluxformer_core.training.recipe import TrainConfig, fastest_precision
from fluxformer_core.training.train import accuracy, predict, train

LABELS = ("squat", "wave")
SPEC = small_spec()
RECIPE = TrainConfig(
    epochs=2, batch=4, learning_rate=3e-3, warmup=0.5, precision="32", workers=0, check_every=1,
    accelerator="cpu",  # sums on a GPU have no fixed order, so nothing is repeated there to the last bit
)  # fmt: skip


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def store(cache: Path) -> ClipStore:
    return ClipStore.build(actor_clips(LABELS, 4, seed=1), LABELS, SPEC, cache)


def fresh() -> nn.Module:
    """Small, with every source of chance that a training has."""
    return small_model(small_config(trunk={"drop_path": 0.2}, readout="mean"), classes=len(LABELS))


def trained(store: ClipStore, config: TrainConfig, folder: Path | None = None) -> dict[str, Tensor]:
    return train(fresh(), [store], SPEC, config, folder=folder).model.state_dict()


def equal(ours: dict[str, Tensor], theirs: dict[str, Tensor]) -> bool:
    return all(torch.equal(ours[name], theirs[name]) for name in theirs)


def loss(model: nn.Module, store: ClipStore) -> float:
    logits = predict(model, store, SPEC)
    return nn.functional.cross_entropy(logits, torch.from_numpy(store.classes)).item()


@pytest.mark.parametrize(("capability", "fastest"), [("AVX2", "32"), ("DEFAULT", "32"), ("AVX512", "bf16-mixed")])
def test_bfloat16_is_used_where_the_processor_computes_in_it(monkeypatch, capability, fastest):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    assert fastest_precision() == fastest


@pytest.mark.parametrize("precision", ["32", "bf16-mixed"])
def test_a_handful_of_clips_is_learnt_by_heart(store, cache, precision):
    clips = actor_clips(LABELS, 4, seed=1)
    parts = [ClipStore.build(part, LABELS, SPEC, cache) for part in (clips[::2], clips[1::2])]  # squats, waves
    model = small_model(small_config(readout="mean", head_dropout=0.0, flow_dropout=0.0), classes=len(LABELS))
    before = loss(model, store)
    config = replace(RECIPE, epochs=40, precision=precision, accelerator="auto", augment=PLAIN)
    result = train(model, parts, SPEC, config)
    assert not result.model.training
    assert (result.epochs, result.first) == (40, True)
    assert result.clips_per_second > 0
    assert 0 < result.waiting < 1
    assert loss(result.model, store) < 0.3 * before
    assert accuracy(result.model, store, SPEC) == 1.0


def test_a_training_can_be_repeated(store):
    first, again = trained(store, RECIPE), trained(store, RECIPE)
    assert equal(first, again)
    assert not equal(first, trained(store, replace(RECIPE, seed=1)))


@pytest.mark.filterwarnings("ignore:This DataLoader will create")  # on a machine with a single core
def test_clips_do_not_depend_on_who_prepares_them(store):
    clips = TrainingClips([store], SPEC, AugmentConfig(), seed=3)
    ours, theirs = (batches(clips, workers) for workers in (0, 2))
    assert len(ours) == 4
    for one, other in zip(ours, theirs, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))
    assert not torch.equal(ours[0][0], ours[2][0]), "every epoch shows other clips"


def batches(clips: TrainingClips, workers: int) -> list[list[Tensor]]:
    """Those of two epochs."""
    sampler = WeightedEpochSampler(np.ones(8), 4, seed=3)
    loader, found = Loader(clips, 4, sampler=sampler, num_workers=workers), []
    for epoch in (0, 1):
        sampler.set_epoch(epoch)
        found += list(loader)
    return found


class PowerCut(Exception):
    pass


def test_a_training_that_was_interrupted_ends_as_if_it_had_not_been(store, tmp_path):
    config = replace(RECIPE, epochs=4)
    whole = train(fresh(), [store], SPEC, config, folder=tmp_path / "whole", check=store).model.state_dict()
    model, folder, steps = fresh(), tmp_path / "run", 0

    def cut(module: nn.Module, *_: object) -> None:
        nonlocal steps
        steps += module.training
        if steps > 2 * len(store) // config.batch:
            raise PowerCut

    model.register_forward_pre_hook(cut)
    with pytest.raises(PowerCut):
        train(model, [store], SPEC, config, folder=folder, check=store)
    result = train(fresh(), [store], SPEC, config, folder=folder, check=store)
    assert result.epochs == 2
    assert equal(result.model.state_dict(), whole)
    again = train(fresh(), [store], SPEC, config, folder=folder, check=store)
    assert equal(again.model.state_dict(), whole)
    assert (again.epochs, again.clips_per_second) == (0, 0), "a finished training is not repeated"


def test_a_checkpoint_that_cannot_be_continued_is_refused(store, tmp_path):
    checkpoint = tmp_path / "last.ckpt"
    trained(store, RECIPE, tmp_path)
    whole = checkpoint.read_bytes()
    for content in (b"", b"nothing of the kind", whole[: len(whole) // 2], whole[:-100]):
        checkpoint.write_bytes(content)
        with pytest.raises(ConfigError, match=r"cannot continue from .*last\.ckpt"):
            trained(store, RECIPE, tmp_path)
    checkpoint.write_bytes(whole)
    with pytest.raises(ConfigError, match="differs in epochs, mixup"):
        trained(store, replace(RECIPE, epochs=3, mixup=0.1), tmp_path)
    other = small_model(small_config(clusters=0), classes=len(LABELS))
    with pytest.raises(ConfigError, match="differs in model"):
        train(other, [store], SPEC, RECIPE, folder=tmp_path)
    torch.save({"epoch": 1, "other": []}, checkpoint)
    with pytest.raises(ConfigError, match="no checkpoint of a training"):
        trained(store, RECIPE, tmp_path)


class Malice:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return self.path.touch, ()


def test_a_checkpoint_cannot_run_code(store, tmp_path):
    torch.save({"fluxformer": Malice(tmp_path / "done")}, tmp_path / "last.ckpt")
    with pytest.raises(ConfigError, match="cannot continue from"):
        trained(store, RECIPE, tmp_path)
    assert not (tmp_path / "done").exists()


def test_fewer_clips_than_a_batch_are_refused(store):
    with pytest.raises(ConfigError, match="8 clips are fewer than one batch of 16"):
        trained(store, replace(RECIPE, batch=16))


def test_the_weights_that_are_kept_are_a_moving_average_with_a_small_decay_at_first(store, tmp_path):
    config, name = replace(RECIPE, epochs=3, ema_decay=0.3), "head.weight"
    model, seen = fresh(), []
    model.register_forward_pre_hook(lambda *_: seen.append(model.get_parameter(name).detach().clone()))
    mean = train(model, [store], SPEC, config, folder=tmp_path).model.state_dict()[name]
    state = torch.load(tmp_path / "last.ckpt", weights_only=True)["current_model_state"]
    after = [*seen[1:], state[f"model.{name}"]]
    expected = after[0]
    for weights, memory in zip(after[1:], (2 / 11, 3 / 12, 0.3, 0.3, 0.3), strict=True):
        expected = memory * expected + (1 - memory) * weights
    torch.testing.assert_close(mean, expected)
    assert not torch.allclose(mean, after[-1])


def test_the_best_checked_weights_are_kept(store, tmp_path):
    config = replace(RECIPE, epochs=6, learning_rate=3e-2)
    best = train(fresh(), [store], SPEC, config, folder=tmp_path / "best", check=store)
    last = train(fresh(), [store], SPEC, replace(config, keep="last"), folder=tmp_path / "last", check=store)
    with next((tmp_path / "best").glob("logs/*/metrics.csv")).open(newline="") as file:
        checks = [float(row["check_top1"]) for row in csv.DictReader(file) if row["check_top1"]]
    assert len(checks) == 6
    assert accuracy(best.model, store, SPEC) == max(checks)
    assert accuracy(last.model, store, SPEC) == checks[-1]


def test_the_rate_rises_then_falls_and_matrices_alone_decay(store, monkeypatch):
    rates: list[float] = []
    decays: dict[bool, set[float]] = {True: set(), False: set()}

    class Watched(torch.optim.AdamW):
        def step(self, closure=None):
            rates.append(self.param_groups[0]["lr"])
            for group in self.param_groups:
                for parameter in group["params"]:
                    decays[parameter.ndim > 1].add(group["weight_decay"])
            return super().step(closure)

    monkeypatch.setattr(torch.optim, "AdamW", Watched)
    trained(store, replace(RECIPE, epochs=6, warmup=2.0, batch=2))
    peak = int(np.argmax(rates))
    assert len(rates) == 24
    assert rates[0] < 0.2 * RECIPE.learning_rate
    assert 5 <= peak <= 8
    assert np.all(np.diff(rates[: peak + 1]) > 0)
    assert np.all(np.diff(rates[peak:]) < 0)
    assert rates[-1] < 0.05 * RECIPE.learning_rate
    assert decays == {True: {RECIPE.weight_decay}, False: {0.0}}


def test_a_training_may_start_at_full_rate(store):
    assert all(value.isfinite().all() for value in trained(store, replace(RECIPE, epochs=1, warmup=0.0)).values())


def test_the_head_alone_may_learn(store):
    model = small_model(small_config(trunk={"stem_widths": (8,)}), classes=len(LABELS))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    after = train(model, [store], SPEC, replace(RECIPE, train="head")).model.state_dict()
    assert any("running_mean" in name for name in before)
    assert {name for name in before if not torch.equal(before[name], after[name])} == {"head.weight", "head.bias"}


def test_a_backbone_may_learn_more_slowly(store):
    steps = {}
    for factor in (1.0, 0.01):
        model = fresh()
        before = model.get_parameter("blocks.0.attn.qkv.weight").detach().clone()
        train(model, [store], SPEC, replace(RECIPE, backbone_rate=factor))
        steps[factor] = (model.get_parameter("blocks.0.attn.qkv.weight") - before).norm().item()
    assert steps[0.01] < 0.05 * steps[1.0]
