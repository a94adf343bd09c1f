"""Bundle files with any content, and checks that loading one succeeds or ends in a BundleError."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import strategies as st
from safetensors.torch import save_file

from fluxformer_core.bundle import Bundle
from fluxformer_core.errors import BundleError

KEY = "fluxformer"


def write(path: Path, weights: dict[str, torch.Tensor], metadata: object) -> None:
    text = metadata if isinstance(metadata, str) else json.dumps(metadata)
    save_file(weights, path, metadata={KEY: text})


def refusal(path: Path) -> str:
    with pytest.raises(BundleError) as caught:
        Bundle.load(path)
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message
    return message


def loaded_or_refused(path: Path) -> Bundle | None:
    """The loaded bundle, or None after a BundleError that names the file; every other error fails the test."""
    try:
        return Bundle.load(path)
    except BundleError as error:
        message = str(error)
    assert str(path) in message
    return None


def leaves(tree: object, names: tuple[object, ...] = ()) -> Iterator[tuple[object, ...]]:
    if isinstance(tree, dict | list):
        for key, value in tree.items() if isinstance(tree, dict) else enumerate(tree):
            yield (*names, key)
            yield from leaves(value, (*names, key))


def changed(document: dict[str, Any], place: Sequence[object], value: object) -> dict[str, Any]:
    """The document with another value at a place."""
    tree: Any = document
    for name in place[:-1]:
        tree = tree[name]
    tree[place[-1]] = value
    return document


def document_of(bundle: Bundle) -> dict[str, Any]:
    return json.loads(json.dumps(asdict(bundle.metadata)))


SIMPLE = st.none() | st.booleans() | st.integers(-3, 70) | st.sampled_from([2**31, 10**20]) | st.floats() | st.text()
ANY = SIMPLE | st.lists(SIMPLE, max_size=4) | st.dictionaries(st.text(), SIMPLE, max_size=2)
