"""One model file on disk: weights and everything needed to use them, as safetensors with JSON metadata. No pickle."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import TypeAdapter, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor, nn

from fluxformer_core.clip import ClipSpec
from fluxformer_core.errors import BundleError, ConfigError
from fluxformer_core.models.fluxformer import FluxformerConfig
from fluxformer_core.models.registry import create_model

_KEY = "fluxformer"
"""Name of the one metadata entry, a JSON document."""


@dataclass(frozen=True)
class Metadata:
    """What a bundle says besides its weights."""

    model: str  # a name of models.registry
    config: FluxformerConfig
    spec: ClipSpec
    labels: tuple[str, ...]  # in the order of the logits
    temperature: float = 1.0  # logits are divided by this before the softmax
    format: Literal[1] = 1
    provenance: dict[str, Any] = field(default_factory=dict)  # data, split, command, commit, metrics

    def problems(self) -> list[str]:
        """What is wrong with the values, in words."""
        wrong = []
        if not self.labels or len(set(self.labels)) != len(self.labels) or not all(self.labels):
            wrong.append(f"labels must be distinct and not empty: {self.labels}")
        if not 0 < self.temperature < float("inf"):
            wrong.append(f"temperature must be positive: {self.temperature}")
        clip, trunk = (self.spec.frames, self.spec.size), (self.config.trunk.frames, self.config.trunk.size)
        if clip != trunk:
            wrong.append(f"the clip is {clip[0]} frames of {clip[1]} px, the model takes {trunk[0]} of {trunk[1]} px")
        return wrong


_METADATA = TypeAdapter(Metadata)


@dataclass(frozen=True)
class Bundle:
    """A model that can be run: metadata, weights and, when it was read from disk, the file's digest."""

    metadata: Metadata
    weights: dict[str, Tensor]
    digest: str = ""  # first 12 hexadecimal digits of the file's SHA-256

    @property
    def name(self) -> str:
        """The model's name."""
        return self.metadata.model

    @property
    def spec(self) -> ClipSpec:
        """The clip that the model takes."""
        return self.metadata.spec

    @property
    def labels(self) -> tuple[str, ...]:
        """Labels in the order of the logits."""
        return self.metadata.labels

    def build_model(self) -> nn.Module:
        """The model with these weights, ready for inference.

        Raises:
            BundleError: if names or shapes of the weights do not fit the model.
        """
        try:
            model = create_model(self.name, len(self.labels), config=self.metadata.config)
        except ConfigError as error:
            raise BundleError(f"the bundle's model cannot be built: {error}") from None
        _check_weights(model.state_dict(), self.weights)
        model.load_state_dict(self.weights)
        return model.eval()

    def save(self, path: str | Path) -> Bundle:
        """Write the bundle, all or nothing; weights are stored as float16.

        Returns:
            The bundle as a reader of the file gets it, digest included.

        Raises:
            BundleError: if the file cannot be written.
        """
        path = Path(path)
        document = json.dumps(asdict(self.metadata))
        half = {k: v.half().contiguous() if v.is_floating_point() else v for k, v in self.weights.items()}
        data = save_tensors(half, metadata={_KEY: document})
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=path.parent, prefix=path.name, delete=False) as file:
                file.write(data)
            os.chmod(file.name, 0o644)
            os.replace(file.name, path)
        except OSError as error:
            raise BundleError(f"cannot write {path}: {error.strerror}") from None
        return Bundle.load(path)

    @staticmethod
    def load(path: str | Path) -> Bundle:
        """Read a bundle and check it against its own model.

        Raises:
            BundleError: if the file is missing, damaged, of another kind, or does not fit its model.
        """
        path = Path(path)
        try:
            data = path.read_bytes()
        except OSError as error:
            raise BundleError(f"cannot read {path}: {error.strerror}") from None
        try:
            weights = load_tensors(data)
            length = int.from_bytes(data[:8], "little")
            document = json.loads(data[8 : 8 + length]).get("__metadata__", {}).get(_KEY)
        except (SafetensorError, ValueError, AttributeError, KeyError) as error:
            raise BundleError(f"{path} is not a safetensors file, or is damaged: {error}") from None
        if document is None:
            raise BundleError(f"{path} has weights but no {_KEY!r} metadata: it is not a fluxformer bundle")
        try:
            metadata = _METADATA.validate_json(document)
        except (ValidationError, ConfigError) as error:
            raise BundleError(f"{path} has unusable metadata: {_one_line(error)}") from None
        wrong = metadata.problems()
        if wrong:
            raise BundleError(f"{path} has unusable metadata: {'; '.join(wrong)}")
        weights = {k: v.float() if v.is_floating_point() else v for k, v in weights.items()}
        bundle = Bundle(metadata, weights, hashlib.sha256(data).hexdigest()[:12])
        try:
            bundle.build_model()
        except BundleError as error:
            raise BundleError(f"{path}: {error}") from None
        return bundle


def default_bundle_path() -> Path:
    """The weights that come with the package."""
    return Path(__file__).parent / "weights" / "fluxformer_nano.safetensors"


def _check_weights(expected: dict[str, Tensor], found: dict[str, Tensor]) -> None:
    wrong = [f"missing {key}" for key in expected if key not in found]
    wrong += [f"unexpected {key}" for key in found if key not in expected]
    for key in expected.keys() & found.keys():
        if expected[key].shape != found[key].shape:
            wrong.append(f"{key} has shape {tuple(found[key].shape)}, the model needs {tuple(expected[key].shape)}")
        elif not torch.isfinite(found[key]).all():
            wrong.append(f"{key} has values that are not finite")
    if wrong:
        more = f" and {len(wrong) - 5} more" if len(wrong) > 5 else ""
        raise BundleError(f"weights do not fit the model: {'; '.join(sorted(wrong)[:5])}{more}")


def _one_line(error: Exception) -> str:
    if isinstance(error, ValidationError):
        return "; ".join(f"{'.'.join(map(str, e['loc'])) or 'document'}: {e['msg']}" for e in error.errors()[:5])
    return str(error)
