"""Model files of every family: what is saved comes back, older files stay readable, anything else is refused."""

from __future__ import annotations

from functools import cache

import pytest
import torch
from bundle_files import ANY, changed, document_of, leaves, loaded_or_refused, refusal, write
from helpers import LABELS, small_bundle, small_spec
from hypothesis import given, settings
from hypothesis import strategies as st

from fluxformer_core.bundle import Bundle, Metadata
from fluxformer_core.models.emim.emim import EmimConfig
from fluxformer_core.models.registry import ModelConfig, create_model
from fluxformer_core.models.video_focalnet import VideoFocalNetConfig

SMALL: dict[str, ModelConfig] = {
    "emim_nano": EmimConfig(frames=4, size=32, depths=(1, 2), dims=(8, 16), head_dim=8, conv_stages=1, window=3),
    "video_focalnet_nano": VideoFocalNetConfig(frames=4, size=32, depths=(1, 1), dim=8),
}
FAMILIES = ("fluxformer_nano", *SMALL)


@cache
def bundle(name: str) -> Bundle:
    if name == "fluxformer_nano":
        return small_bundle()
    torch.manual_seed(0)
    weights = create_model(name, len(LABELS), config=SMALL[name]).state_dict()
    return Bundle(Metadata(name, SMALL[name], small_spec(flow="none"), LABELS), weights)


@pytest.mark.parametrize("name", FAMILIES)
@torch.no_grad()
def test_what_is_saved_comes_back(name, tmp_path):
    original = bundle(name)
    original.save(tmp_path / name)
    loaded = Bundle.load(tmp_path / name)
    assert (loaded.metadata, loaded.name, loaded.labels) == (original.metadata, name, LABELS)
    assert (type(loaded.metadata.config), loaded.width) == (type(original.metadata.config), original.width)
    assert loaded.weights.keys() == original.weights.keys()
    for key, value in original.weights.items():
        expected = value.half().float() if value.is_floating_point() else value
        assert loaded.weights[key].dtype == value.dtype
        assert torch.equal(loaded.weights[key], expected), key
    clip, (ours, theirs) = torch.randn(1, 3, 4, 32, 32), (b.build_model() for b in (loaded, original))
    assert not ours.training
    torch.testing.assert_close(ours(clip).embedding, theirs(clip).embedding, atol=0.02, rtol=0.02)


def test_files_from_before_there_were_families_are_read_as_fluxformers(tmp_path):
    whole = document_of(small_bundle())
    assert whole["config"].pop("family") == "fluxformer"
    write(tmp_path / "old", small_bundle().weights, whole)
    assert Bundle.load(tmp_path / "old").metadata == small_bundle().metadata


@pytest.mark.parametrize(
    ("name", "changes", "problem"),
    [
        ("emim_nano", {"config": {"family": "resnet"}}, "config: Input tag 'resnet'"),
        ("emim_nano", {"model": "fluxformer_nano"}, "fluxformer_nano is of the family fluxformer"),
        ("emim_nano", {"model": "emim_xl"}, "no model 'emim_xl'"),
        ("emim_nano", {"config": 3}, "config: Unable to extract tag"),
        ("video_focalnet_nano", {"config": {"family": "fluxformer"}}, "config.trunk: Field required"),
    ],
)
def test_a_family_that_does_not_fit_is_named(name, changes, problem, tmp_path):
    write(tmp_path / "victim", bundle(name).weights, document_of(bundle(name)) | changes)
    assert problem in refusal(tmp_path / "victim")


@pytest.mark.parametrize("name", FAMILIES)
@settings(max_examples=40)
@given(data=st.data(), value=ANY)
def test_any_value_anywhere_in_the_metadata_is_taken_or_refused(tmp_path_factory, name, data, value):
    metadata, victim = document_of(bundle(name)), tmp_path_factory.getbasetemp() / "victim"
    place = data.draw(st.sampled_from([p for p in leaves(metadata) if "provenance" not in p]))
    write(victim, bundle(name).weights, changed(metadata, place, value))
    loaded = loaded_or_refused(victim)
    # Rounds beyond reason would be taken at their word, and take their time.
    if loaded is not None and getattr(loaded.metadata.config, "cluster_rounds", 0) < 100:
        assert loaded.build_model()(torch.zeros(1, 3, 4, 32, 32)).logits.isfinite().all()
