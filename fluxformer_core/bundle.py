"""One model file on disk: weights and all that is needed to use them, as safetensors with JSON metadata. No pickle."""

from __future__ import annotations

import hashlib
import json
import math
import os
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Discriminator, Tag, TypeAdapter, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor, nn

from fluxformer_core.enrolled import EnrolledAction, Statistics, set_problems
from fluxformer_core.errors import BundleError, ConfigError
from fluxformer_core.models.emim.emim import EmimConfig
from fluxformer_core.models.fluxformer.fluxformer import FluxformerConfig
from fluxformer_core.models.registry import create_model
from fluxformer_core.models.video_focalnet import VideoFocalNetConfig
from fluxformer_core.types import ClipSpec
from fluxformer_core.weights_file import check_weights, in_a_line

_KEY = "fluxformer"
"""Name of the one metadata entry, a JSON document."""

_MEANS, _SPREAD, _PROTOTYPES = "known.means", "known.spread", "enrolled.prototypes"
"""Names of the tensors beside the weights; prototypes (actions, D) belong to the metadata's enrolled actions."""


def _family(config: object) -> object:
    """The family of a configuration; the oldest files, which do not name one, hold Fluxformers."""
    return config.get("family", "fluxformer") if isinstance(config, dict) else getattr(config, "family", None)


_Config = (
    Annotated[FluxformerConfig, Tag("fluxformer")]
    | Annotated[EmimConfig, Tag("emim")]
    | Annotated[VideoFocalNetConfig, Tag("video_focalnet")]
)


@dataclass(frozen=True)
class Metadata:
    """The metadata of a bundle."""

    model: str  # a name of models.registry
    config: Annotated[_Config, Discriminator(_family)]
    spec: ClipSpec
    labels: tuple[str, ...]  # in the order of the logits
    temperature: float = 1.0  # logits are divided by this before the softmax
    members: int = 1  # nets with this configuration; more than one is an ensemble
    format: Literal[1, 2, 3] = 1  # 2: with statistics or enrolled actions; 3: of an ensemble; `Bundle.save` sets it
    provenance: dict[str, Any] = field(default_factory=dict)  # data, split, command, commit, metrics

    def problems(self) -> list[str]:
        """Describe what is wrong with the values."""
        wrong = []
        if not self.labels or len(set(self.labels)) != len(self.labels) or not all(self.labels):
            wrong.append(f"labels must be distinct and not empty: {self.labels}")
        if not 0 < self.temperature < float("inf"):
            wrong.append(f"temperature must be positive: {self.temperature}")
        if self.members < 1:
            wrong.append(f"members must be at least 1: {self.members}")
        clip, taken = (self.spec.frames, self.spec.size), (self.config.frames, self.config.size)
        if clip != taken:
            wrong.append(f"the clip is {clip[0]} frames of {clip[1]} px, the model takes {taken[0]} of {taken[1]} px")
        for part in ("spec", "config"):
            wrong += [f"{name} is not finite" for name in _not_finite(asdict(getattr(self, part)), part)]
        return wrong


def _not_finite(value: Any, name: str) -> Iterator[str]:
    """Names of the numbers that are NaN or infinite, which JSON may hold and range checks may accept."""
    if isinstance(value, dict):
        for key, part in value.items():
            yield from _not_finite(part, f"{name}.{key}")
    elif isinstance(value, tuple):
        if not all(map(math.isfinite, value)):
            yield name
    elif isinstance(value, float) and not math.isfinite(value):
        yield name


@dataclass(frozen=True)
class _Note:
    """The metadata of one enrolled action."""

    label: str
    threshold: float
    examples: int
    agreement: float  # the consistency of the examples; bundles have kept this key since format 2


@dataclass(frozen=True)
class _Notes:
    enrolled: tuple[_Note, ...] = ()


_METADATA = TypeAdapter(Metadata)
_NOTES = TypeAdapter(_Notes)


@dataclass(frozen=True)
class Bundle:
    """A model that can be run: metadata, weights and, when it was read from disk, the file's digest."""

    metadata: Metadata
    weights: dict[str, Tensor]
    digest: str = ""  # first 12 hexadecimal digits of the file's SHA-256
    statistics: Statistics | None = None  # of the labels' embeddings, for teaching further actions
    enrolled: tuple[EnrolledAction, ...] = ()  # taught by examples after the training

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
        """Labels learnt in training, in the order of the logits, without those of enrolled actions."""
        return self.metadata.labels

    @property
    def width(self) -> int:
        """D, of the model's embedding."""
        return self.metadata.config.width * self.metadata.members

    def build_model(self) -> nn.Module:
        """The model with these weights, ready for inference.

        Raises:
            BundleError: if the model cannot be built, or names, shapes or types of the weights do not fit it.
        """
        check_weights(self._expected(), self.weights)
        model = self._bare_model()
        model.load_state_dict(self.weights)
        return model.eval()

    def weightless_model(self) -> nn.Module:
        """The model on the meta device, without memory for weights: for names, shapes and cost."""
        with torch.device("meta"):
            return self._bare_model().eval()

    def _bare_model(self) -> nn.Module:
        config, members = self.metadata.config, self.metadata.members
        return create_model(self.name, len(self.labels), config=config, members=members)

    def _expected(self) -> dict[str, Tensor]:
        """Names and shapes of the model's weights, without memory for them: a damaged file may name any size."""
        blocks, tensors = self.metadata.config.num_blocks * self.metadata.members, len(self.weights)
        if blocks > tensors:
            raise BundleError(f"weights do not fit the model: it has {blocks} blocks, there are {tensors} tensors")
        try:
            return self.weightless_model().state_dict()
        except (ConfigError, RuntimeError, OverflowError, TypeError) as error:
            raise BundleError(f"the bundle's model cannot be built: {str(error).splitlines()[0]}") from None

    def save(self, path: str | Path) -> Bundle:
        """Write the bundle, all or nothing; weights are stored as float16.

        Returns:
            The bundle as `load` returns it, digest included.

        Raises:
            BundleError: if the file cannot be written, or the bundle is not valid.
        """
        path = Path(path)
        extended = self.statistics is not None or bool(self.enrolled)
        number: Literal[1, 2, 3] = 3 if self.metadata.members > 1 else 2 if extended else 1
        document, tensors = asdict(replace(self.metadata, format=number)), dict(self.weights)
        if self.statistics is not None:
            tensors[_MEANS], tensors[_SPREAD] = map(torch.from_numpy, (self.statistics.means, self.statistics.spread))
        if self.enrolled:
            notes = (_Note(a.label, a.threshold, a.examples, a.consistency) for a in self.enrolled)
            document["enrolled"] = [vars(note) for note in notes]
            tensors[_PROTOTYPES] = torch.stack([torch.from_numpy(action.prototype) for action in self.enrolled])
        half = {k: v.half().contiguous() if v.is_floating_point() else v for k, v in tensors.items()}
        data = save_tensors(half, metadata={_KEY: json.dumps(document)})
        bundle = _parse(data, path)  # an unreadable bundle must not replace a readable file
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=path.parent, prefix=path.name) as folder:
                whole = Path(folder) / path.name
                whole.write_bytes(data)
                os.replace(whole, path)
        except OSError as error:
            raise BundleError(f"cannot write {path}: {error.strerror}") from None
        return bundle

    @staticmethod
    def load(path: str | Path) -> Bundle:
        """Read a bundle and check its weights against its model.

        Raises:
            BundleError: if the file is missing, damaged, of another kind, or does not fit its model.
        """
        try:
            return _parse(Path(path).read_bytes(), Path(path))
        except OSError as error:
            raise BundleError(f"cannot read {path}: {error.strerror}") from None


def default_bundle_path() -> Path:
    """Path of the bundle that comes with the package."""
    return Path(__file__).parent / "assets" / "weights" / "fluxformer_nano.safetensors"


def load_bundle(path: str | Path | None = None) -> Bundle:
    """Read a bundle, by default the one that comes with the package.

    Raises:
        BundleError: as `Bundle.load` does.
    """
    return Bundle.load(path or default_bundle_path())


def _parse(data: bytes, path: Path) -> Bundle:
    """The bundle in a file's bytes; the path is for messages."""
    try:
        weights = load_tensors(data)
        length = int.from_bytes(data[:8], "little")
        document = json.loads(data[8 : 8 + length]).get("__metadata__", {}).get(_KEY)
    except (SafetensorError, ValueError, AttributeError, KeyError) as error:
        raise BundleError(f"{path} is not a safetensors file, or is damaged: {in_a_line(error)}") from None
    if document is None:
        raise BundleError(f"{path} has weights but no {_KEY!r} metadata: it is not a fluxformer bundle")
    try:
        document = _upgraded(document)
        metadata = _METADATA.validate_json(document)
        notes = _NOTES.validate_json(document).enrolled
    except ValidationError as error:
        wrong = "; ".join(f"{_place(e['loc']) or 'document'}: {e['msg']}" for e in error.errors()[:5])
        raise BundleError(f"{path} has unusable metadata: {wrong}") from None
    except ConfigError as error:
        raise BundleError(f"{path} has unusable metadata: {error}") from None
    if problems := metadata.problems():
        raise BundleError(f"{path} has unusable metadata: {'; '.join(problems)}")
    weights = {k: v.float() if v.is_floating_point() else v for k, v in weights.items()}
    tensors = {name: weights.pop(name).numpy() for name in (_MEANS, _SPREAD, _PROTOTYPES) if name in weights}
    bundle = Bundle(metadata, weights, hashlib.sha256(data).hexdigest()[:12])
    try:
        bundle.build_model()
        statistics = _statistics(bundle, tensors)
        return replace(bundle, statistics=statistics, enrolled=_enrolled(bundle, notes, statistics, tensors))
    except BundleError as error:
        raise BundleError(f"{path}: {error}") from None


def _upgraded(document: str) -> str:
    """The metadata of a file that an older version wrote, in today's words."""
    if "upstream" not in document:
        return document
    content = json.loads(document)
    spec = content.get("spec") if isinstance(content, dict) else None
    if isinstance(spec, dict) and spec.get("selection") == "upstream":
        spec["selection"] = "flow_guided"  # version 0.1.0 had the released selection, too, for comparison only
    return json.dumps(content)


def _statistics(bundle: Bundle, tensors: dict[str, NDArray[np.float32]]) -> Statistics | None:
    """The statistics of the model's own actions, if the file has them."""
    if _MEANS not in tensors and _SPREAD not in tensors:
        return None
    if missing := {_MEANS, _SPREAD} - tensors.keys():
        raise BundleError(f"there is no {missing.pop()}")
    statistics = Statistics(tensors[_MEANS], tensors[_SPREAD])
    if wrong := statistics.problems(len(bundle.labels), bundle.width):
        raise BundleError("; ".join(wrong))
    return statistics


def _enrolled(
    bundle: Bundle, notes: tuple[_Note, ...], statistics: Statistics | None, tensors: dict[str, NDArray[np.float32]]
) -> tuple[EnrolledAction, ...]:
    """The enrolled actions of a file's metadata and prototypes."""
    prototypes = tensors.get(_PROTOTYPES, np.empty((0, bundle.width), np.float32))
    if prototypes.ndim != 2 or len(prototypes) != len(notes):
        raise BundleError(f"{len(notes)} enrolled actions have prototypes of shape {prototypes.shape}")
    if notes and statistics is None:
        raise BundleError("enrolled actions need statistics of the known ones")
    pairs = zip(notes, prototypes, strict=True)
    actions = tuple(EnrolledAction(n.label, row, n.threshold, n.examples, n.agreement) for n, row in pairs)
    if wrong := set_problems(actions, bundle.labels, bundle.width):
        raise BundleError(f"enrolled actions cannot be used: {'; '.join(wrong)}")
    return actions


def _place(location: tuple[str | int, ...]) -> str:
    """Where in the metadata an error is, without the family as which a configuration was read."""
    if location[:1] == ("config",) and len(location) > 2:
        location = ("config", *location[2:])
    return ".".join(map(str, location))
