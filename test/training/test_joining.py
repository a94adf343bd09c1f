"""Several trained models become one: by the mean of their weights, or as an ensemble that answers with their mean."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from bundle_files import refusal, write
from helpers import FRAMES, LABELS, SIZE, saved_bundle, small_bundle, train
from safetensors.torch import load_file
from torch import Tensor

from fluxformer_core.backends.openvino import OpenVinoBackend
from fluxformer_core.bundle import Bundle
from fluxformer_core.cli import BAD_INPUT, main
from fluxformer_core.errors import ConfigError
from fluxformer_core.stream.load import open_model
from fluxformer_core.training.joining import ensemble_of, mean_of, start_from


@pytest.fixture
def two(tmp_path: Path) -> list[Path]:
    """Two models with random weights of their own."""
    return [saved_bundle(tmp_path / str(seed), seed=seed) for seed in range(2)]


def clip(batch: int = 2) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    rgb, flow = torch.randn(2, batch, 3, FRAMES, SIZE, SIZE, generator=generator)
    return rgb, flow


def moved(start: Path, by: float) -> Path:
    """The same model with all weights changed by as much."""
    bundle = Bundle.load(start)
    weights = {name: w + by if w.is_floating_point() else w for name, w in bundle.weights.items()}
    path = start.with_name(f"by{by}.safetensors")
    replace(bundle, weights=weights).save(path)
    return path


def test_the_mean_of_two_models_lies_between_them_and_knows_its_parents(tmp_path):
    start = saved_bundle(tmp_path)
    parents = [Bundle.load(moved(start, by)) for by in (-0.25, 0.75)]
    mean, before = mean_of(parents), Bundle.load(start)
    for name, weight in before.weights.items():
        expected = weight + 0.25 if weight.is_floating_point() else weight
        torch.testing.assert_close(mean.weights[name], expected, atol=1e-3, rtol=1e-3)  # files hold half precision
    assert [parent["bundle"] for parent in mean.metadata.provenance["mean_of"]] == [p.digest for p in parents]
    assert (mean.metadata.temperature, mean.statistics) == (1.0, None)
    assert mean_of(parents[:1]) is parents[0]


def test_training_goes_on_from_the_mean_of_two_models(index, tmp_path):
    start, out = saved_bundle(tmp_path), tmp_path / "out.safetensors"
    two = [moved(start, by) for by in (-0.01, 0.01)]
    still = ["--keep-labels", "--train", "head", "--learning-rate", 1e-9]
    assert train(index, out, "--from", *two, "--epochs", 1, *still) == 0
    before, after = Bundle.load(start), Bundle.load(out)
    for name, weight in before.weights.items():
        torch.testing.assert_close(after.weights[name], weight, atol=1e-3, rtol=1e-3)
    parents = after.metadata.provenance["started_from"]["mean_of"]
    assert [parent["bundle"] for parent in parents] == [Bundle.load(path).digest for path in two]


def test_a_mean_of_models_that_differ_is_refused(tmp_path):
    one = Bundle.load(saved_bundle(tmp_path))
    turned = replace(one, metadata=replace(one.metadata, labels=one.labels[::-1]))
    slower = replace(one, metadata=replace(one.metadata, spec=replace(one.spec, rate=one.spec.rate / 2)))
    cases = {"labels": turned, "number of nets: 1 and 2": ensemble_of([one, one]), "clip": slower}
    for what, other in cases.items():
        with pytest.raises(ConfigError, match=f"differ in {what}"):
            mean_of([one, other])


@torch.no_grad()
@pytest.mark.parametrize("with_flow", [True, False])
def test_an_ensemble_answers_with_the_mean_of_what_its_members_answer(with_flow):
    members = [small_bundle(seed=seed) for seed in range(3)]
    rgb, flow = clip() if with_flow else (clip()[0], None)
    answer = ensemble_of(members).build_model()(rgb, flow)
    answers = [bundle.build_model()(rgb, flow) for bundle in members]
    torch.testing.assert_close(answer.logits, torch.stack([a.logits for a in answers]).mean(0))
    torch.testing.assert_close(answer.embedding, torch.cat([a.embedding for a in answers], 1))
    assert not torch.allclose(answer.logits, answers[0].logits, atol=1e-3), "members must differ"


def test_an_ensemble_is_a_file_like_any_other(two, tmp_path):
    joined = ensemble_of([Bundle.load(path) for path in two])
    saved = joined.save(tmp_path / "both.safetensors")
    assert (saved.metadata.members, saved.metadata.format, saved.width) == (2, 3, 2 * Bundle.load(two[0]).width)
    assert [p["bundle"] for p in saved.metadata.provenance["ensemble_of"]] == [Bundle.load(path).digest for path in two]
    assert Bundle.load(two[0]).metadata.format == 1
    loaded = Bundle.load(tmp_path / "both.safetensors")
    with torch.no_grad():
        torch.testing.assert_close(loaded.build_model()(*clip()).logits, joined.build_model()(*clip()).logits)


def test_ensembles_that_are_joined_are_one_of_all_members(two):
    one, other = (Bundle.load(path) for path in two)
    nested = ensemble_of([ensemble_of([one, other]), one])
    assert nested.metadata.members == 3
    flat = ensemble_of([one, other, one])
    assert nested.weights.keys() == flat.weights.keys()
    assert all(torch.equal(nested.weights[name], weight) for name, weight in flat.weights.items())


@pytest.mark.parametrize("backend", ["torch", "openvino"])
def test_backends_run_an_ensemble(two, tmp_path, backend):
    if backend == "openvino" and (reason := OpenVinoBackend().probe("fp32")):
        pytest.skip(reason)
    bundle = ensemble_of([Bundle.load(path) for path in two]).save(tmp_path / "both.safetensors")
    with torch.no_grad():
        expected = bundle.build_model()(*clip(1))
        answer = open_model(bundle, backend, cache=tmp_path / "engines")(*clip(1))
    torch.testing.assert_close(answer.logits, expected.logits, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(answer.embedding, expected.embedding, atol=1e-4, rtol=1e-4)


def test_the_command_joins_models_calibrates_them_and_makes_them_ready_to_be_taught(two, index, tmp_path, capsys):
    out = tmp_path / "both.safetensors"
    index.write_text("path,label,split\n" + "".join(f"{n}.mp4,{LABELS[n % 3]},{'ab'[n > 11]}\n" for n in range(16)))
    join = ["--from", *two, "--join", "ensemble", "--train", "none"]
    assert train(index, out, *join, "--splits", "a", "--check-splits", "b") == 0
    assert "4 clips to check on: top-1 " in capsys.readouterr().out
    joined, parents = Bundle.load(out), [Bundle.load(path) for path in two]
    assert joined.labels == LABELS
    assert joined.metadata.temperature != 1.0
    assert joined.statistics is not None
    assert joined.statistics.means.shape == (len(LABELS), 2 * parents[0].width)
    for i, parent in enumerate(parents):
        assert all(torch.equal(joined.weights[f"members.{i}.{name}"], w) for name, w in parent.weights.items())
    provenance = joined.metadata.provenance
    assert (provenance["recipe"], provenance["checked_on"]["used_for"]) == ({"train": "none"}, "temperature")
    assert [p["bundle"] for p in provenance["started_from"]["ensemble_of"]] == [p.digest for p in parents]
    assert main(["recognize", str(tmp_path / "0.mp4"), "--model", str(out), "--quiet"]) == 0
    capsys.readouterr()
    assert main(["inspect", str(out)]) == 0
    shown = capsys.readouterr().out
    assert f"ensemble_of  {parents[0].digest}, {parents[1].digest}" in shown
    assert f"{2 * sum(w.numel() for w in parents[0].weights.values()):,}" in shown


def test_without_checks_a_model_that_is_not_trained_keeps_its_temperature(index, tmp_path):
    start, out = saved_bundle(tmp_path, temperature=1.7), tmp_path / "out.safetensors"
    assert train(index, out, "--from", start, "--train", "none") == 0
    before, after = Bundle.load(start), Bundle.load(out)
    assert (after.labels, after.metadata.temperature) == (LABELS, 1.7)
    assert all(torch.equal(after.weights[name], weight) for name, weight in before.weights.items())


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ("--join ensemble", "an ensemble needs two models or more"),
        ("{other} --join ensemble", "an ensemble takes --train none"),
        ("{other} --join ensemble --train head", "an ensemble takes --train none"),
        ("{turned} --join ensemble --train none", "joined differ in labels"),
        ("--train none --labels {names}", "the model has not learnt juggle, and is not to learn anything"),
    ],
)
def test_what_cannot_be_joined_is_refused_in_a_line(two, index, tmp_path, capsys, more, message):
    first = Bundle.load(two[0])
    turned, names, out = tmp_path / "turned.safetensors", tmp_path / "names.csv", tmp_path / "out.safetensors"
    replace(first, metadata=replace(first.metadata, labels=LABELS[::-1])).save(turned)
    names.write_text(f"{LABELS[1]},juggle\n")
    filled = more.format(other=two[1], turned=turned, names=names).split()
    assert train(index, out, "--from", two[0], *filled) == BAD_INPUT
    assert message in capsys.readouterr().err
    assert not out.exists()


@pytest.mark.parametrize("wish", ["--train none", "--join ensemble"])
def test_what_needs_trained_models_says_so_without_any(index, tmp_path, capsys, wish):
    assert train(index, tmp_path / "out.safetensors", *wish.split()) == BAD_INPUT
    assert f"{wish} needs " in capsys.readouterr().err


def test_an_ensemble_keeps_its_labels(two):
    joined = ensemble_of([Bundle.load(path) for path in two])
    assert start_from(joined, LABELS).state_dict().keys() == joined.weights.keys()
    with pytest.raises(ConfigError, match="an ensemble keeps its labels"):
        start_from(joined, LABELS[:2])


@pytest.mark.parametrize(
    ("members", "named"), [(0, "members must be at least 1"), (2, "missing members.0"), (10**9, "3000000000 blocks")]
)
def test_a_number_of_members_that_does_not_fit_is_refused(two, tmp_path, members, named):
    document = json.loads(json.dumps(Bundle.load(two[0]).metadata, default=vars)) | {"members": members}
    write(tmp_path / "victim", load_file(two[0]), document)
    assert named in refusal(tmp_path / "victim")
