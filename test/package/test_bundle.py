"""Model files: what is saved comes back, and anything else is refused in one line that names file and problem."""

from __future__ import annotations

import hashlib
import json
import math
import pickle
import random
from collections.abc import Callable
from dataclasses import replace
from functools import reduce
from pathlib import Path
from typing import Any

import pytest
import torch
from bundle_files import document_of, loaded_or_refused, refusal, write
from helpers import small_bundle, small_config
from hypothesis import example, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save, save_file

from fluxformer_core.bundle import Bundle, default_bundle_path
from fluxformer_core.errors import BundleError, ConfigError
from fluxformer_core.models.fluxformer.fluxformer import FluxformerConfig
from fluxformer_core.models.fluxformer.mvit import MViTConfig


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bundle") / "small.safetensors"
    small_bundle(temperature=1.7).save(path)
    return path


@pytest.fixture(scope="module")
def victim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where damaged files are written, again and again."""
    return tmp_path_factory.mktemp("damaged") / "victim.safetensors"


JSON = st.recursive(st.none() | st.integers() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x))


def document() -> dict[str, Any]:
    return document_of(small_bundle())


def test_saving_gives_what_a_reader_gets_and_saving_that_again_the_same_file(path, tmp_path):
    again = Bundle.load(path).save(tmp_path / "new" / "again.safetensors")
    assert again.digest == hashlib.sha256(path.read_bytes()).hexdigest()[:12]
    assert again.digest == Bundle.load(path).digest
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["again.safetensors"]


def test_other_weights_have_another_digest(path, tmp_path):
    assert small_bundle(seed=1).save(tmp_path / "b").digest != Bundle.load(path).digest


def test_a_model_that_cannot_be_read_back_does_not_replace_one_that_can(path, tmp_path):
    target = tmp_path / "kept.safetensors"
    target.write_bytes(path.read_bytes())
    good = small_bundle()
    bad = replace(good, weights=good.weights | {"head.bias": torch.full((3,), 1e6)})  # beyond float16
    with pytest.raises(BundleError, match=r"kept\.safetensors.*head\.bias.*not finite"):
        bad.save(target)
    assert target.read_bytes() == path.read_bytes()
    assert [p.name for p in tmp_path.iterdir()] == ["kept.safetensors"]


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(BundleError, match=r"cannot write .*file/model"):
        small_bundle().save(tmp_path / "file" / "model")
    (tmp_path / "folder").mkdir()
    with pytest.raises(BundleError, match=r"cannot write .*folder"):
        small_bundle().save(tmp_path / "folder")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "folder"]


def test_a_file_of_the_first_version_with_the_released_selection_still_loads(path, tmp_path):
    metadata = document()
    metadata["spec"]["selection"] = "upstream"
    write(tmp_path / "old.safetensors", load_file(path), metadata)
    assert Bundle.load(tmp_path / "old.safetensors").spec == Bundle.load(path).spec


def test_a_missing_file_and_a_folder_are_named(tmp_path):
    assert "No such file" in refusal(tmp_path / "nothing")
    assert "directory" in refusal(tmp_path)


@settings(max_examples=60)
@given(share=st.floats(0, 1, exclude_max=True))
def test_a_truncated_file_is_refused(path, victim, share):
    data = path.read_bytes()
    victim.write_bytes(data[: int(share * len(data))])
    assert "damaged" in refusal(victim)


@settings(max_examples=60)
@given(data=st.binary(max_size=300))
def test_random_bytes_are_refused(victim, data):
    victim.write_bytes(data)
    assert "damaged" in refusal(victim)


@settings(max_examples=60)
@given(header=JSON)
@example(header={"": ["a line\nand another"]})  # which the message of safetensors quotes
def test_any_json_as_a_header_is_refused(victim, header):
    text = json.dumps(header).encode()
    victim.write_bytes(len(text).to_bytes(8, "little") + text)
    refusal(victim)


@settings(max_examples=60)
@given(seed=st.integers(0, 2**32), in_header=st.booleans())
def test_a_flipped_byte_is_refused_or_harmless_but_never_another_error(path, victim, seed, in_header):
    data = bytearray(path.read_bytes())
    header = 8 + int.from_bytes(data[:8], "little")
    rng = random.Random(seed)
    data[rng.randrange(header if in_header else len(data))] ^= rng.randrange(1, 256)
    victim.write_bytes(data)
    loaded_or_refused(victim)


def test_a_pickle_is_refused_and_not_run(tmp_path):
    trap = tmp_path / "sprung"

    class Payload:
        def __reduce__(self) -> tuple[Callable[..., None], tuple[Any, ...]]:
            return Path.touch, (trap,)

    (tmp_path / "plain").write_bytes(pickle.dumps(Payload()))
    torch.save(Payload(), tmp_path / "torch")
    for name in ("plain", "torch"):
        assert "damaged" in refusal(tmp_path / name)
    assert not trap.exists()


def test_weights_without_our_metadata_are_refused(path, victim):
    save_file(load_file(path), victim)
    assert "not a fluxformer bundle" in refusal(victim)
    victim.write_bytes(save({}))
    assert "not a fluxformer bundle" in refusal(victim)


DELETED = object()


@pytest.mark.parametrize(
    ("place", "value", "named"),
    [
        ("labels", DELETED, "labels"),
        ("spec", DELETED, "spec"),
        ("config.trunk", DELETED, "config.trunk"),
        ("model", "fluxformer_xl", "fluxformer_xl"),
        ("format", 4, "format"),
        ("labels", ["clap", "clap", "walk"], "distinct"),
        ("labels", ["clap", "", "walk"], "labels"),
        ("labels", [], "labels"),
        ("labels", ["clap"], "head.weight has shape"),
        ("temperature", 0.0, "temperature"),
        ("temperature", math.nan, "temperature"),
        ("temperature", math.inf, "temperature"),
        ("spec.frames", "many", "spec.frames"),
        ("spec.rate", -1, "rate"),
        ("spec.size", 64, "4 frames of 64 px"),
        ("spec.mean", [0.5, 0.5], "spec.mean"),
        ("spec.mean", [0.5, 0.5, math.nan], "spec.mean"),
        ("spec.flow_scale", math.inf, "spec.flow_scale"),
        ("spec.rate", math.inf, "spec.rate"),
        ("config.duplex", "sideways", "config.duplex"),
        ("config.duplex", "off", "unexpected blocks.0.flow_attn"),
        ("config.duplex_stages", [3], "duplex_stages"),
        ("config.clusters", 5, "clustering.prototypes has shape (3, 32), the model needs (5, 32)"),
        ("config.trunk.heads", 0, "heads"),
        ("config.trunk.dim", 32, "has shape"),
        ("config.trunk.dim", 10**9, "cannot be built"),
        ("config.trunk.dim", 10**30, "cannot be built"),
        ("config.trunk.depths", [10**9, 1], "1000000002 blocks"),
    ],
)
def test_unusable_metadata_is_refused_by_its_name(path, victim, place, value, named):
    metadata, (*above, name) = document(), place.split(".")
    tree = reduce(dict.get, above, metadata)
    tree[name] = value
    if value is DELETED:
        del tree[name]
    write(victim, load_file(path), metadata)
    assert named in refusal(victim)


@pytest.mark.parametrize("text", ["", "null", "[]", "{", '"text"', "{}", "\x00"])
def test_metadata_that_is_no_document_is_refused(path, victim, text):
    write(victim, load_file(path), text)
    assert "metadata" in refusal(victim)


def test_weights_that_do_not_fit_are_named(path, victim):
    good = load_file(path)
    cases = {
        "missing head.bias": {k: v for k, v in good.items() if k != "head.bias"},
        "unexpected extra": good | {"extra": torch.zeros(1)},
        "head.bias has shape (4,), the model needs (3,)": good | {"head.bias": torch.zeros(4)},
        "head.bias has values that are not finite": good | {"head.bias": torch.tensor([0, torch.nan, 0])},
        "norm.weight has values that are not finite": good | {"norm.weight": torch.full((32,), torch.inf)},
    }
    for problem, weights in cases.items():
        write(victim, weights, document())
        assert problem in refusal(victim)


def test_many_problems_are_counted_and_not_all_told(victim):
    write(victim, {f"other{i}": torch.zeros(1) for i in range(5)}, document())
    missing = len(small_bundle().weights)  # each of them, and the five others make as many as are told
    assert f"and {missing} more" in refusal(victim)


@pytest.mark.parametrize("dtype", [torch.complex64, torch.bool, torch.int64, torch.float64, torch.bfloat16])
def test_weights_of_another_type_are_converted_or_refused(path, victim, dtype):
    weights = load_file(path) | {"head.bias": torch.ones(3, dtype=dtype)}
    write(victim, weights, document())
    if dtype.is_floating_point:
        assert Bundle.load(victim).weights["head.bias"].dtype == torch.float32
    else:
        assert "head.bias" in refusal(victim)


def test_a_bundle_in_memory_is_checked_when_its_model_is_built():
    good = small_bundle()
    metadata = replace(good.metadata, config=small_config(clusters=4))
    with pytest.raises(BundleError, match=r"clustering\.prototypes"):
        replace(good, metadata=metadata).build_model()


def test_the_default_bundle_lies_in_the_package():
    assert default_bundle_path().name == "fluxformer_nano.safetensors"
    assert default_bundle_path().parent.name == "weights"


def test_a_gate_that_float32_cannot_hold_is_refused() -> None:
    with pytest.raises(ConfigError, match="gate"):
        FluxformerConfig(MViTConfig(), gate=1e300)
