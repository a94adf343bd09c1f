"""Weights of public MViTv2 checkpoints under the names of our models (SPEC 4.1 to 4.3).

PySlowFast and torchvision publish the same networks in two layouts. Only names differ from ours, and relative positions
when the clip has another size: their tables are then resampled.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from fluxformer_core.errors import BundleError, ConfigError
from fluxformer_core.models.fluxformer import Fluxformer
from fluxformer_core.models.mvit import MViTConfig
from fluxformer_core.models.registry import model_config

Layout = Literal["slowfast", "torchvision"]

_RENAMES: dict[Layout, dict[str, str]] = {
    "slowfast": {
        r"\.rel_pos_([thw])$": r".rel_\1.table",
        r"^head\.projection\.": "head.",
    },
    "torchvision": {
        r"^conv_proj\.": "patch_embed.proj.",
        r"^pos_encoding\.class_token$": "cls_token",
        r"\.rel_pos_([thw])$": r".rel_\1.table",
        r"\.attn\.project\.0\.": ".attn.proj.",
        r"\.pool_([qkv])\.pool\.": r".pool_\1.",
        r"\.pool_([qkv])\.norm_act\.0\.": r".norm_\1.",
        r"\.mlp\.0\.": ".mlp.fc1.",
        r"\.mlp\.3\.": ".mlp.fc2.",
        r"^(blocks\.\d+)\.project\.": r"\1.proj.",
        r"^head\.1\.": "head.",
    },
}
_FIRST_WEIGHT: dict[str, Layout] = {"patch_embed.proj.weight": "slowfast", "conv_proj.weight": "torchvision"}
_TRUNKS = ("mvit_s", "mvit_b")
_REL_POS = re.compile(r"\.rel_[thw]\.table$")


@dataclass(frozen=True)
class Checkpoint:
    """A public MViTv2, by the names of our plain trunk."""

    layout: Layout
    model: str  # the registered plain trunk that has its shape
    trunk: MViTConfig  # of that model, for the clip that the checkpoint was trained on
    weights: dict[str, Tensor]  # float32

    @property
    def classes(self) -> int:
        """Outputs of the checkpoint's own head."""
        return len(self.weights["head.bias"])


@dataclass(frozen=True)
class Transfer:
    """What became of the weights of a model that was initialised from a checkpoint."""

    copied: int  # tensors
    resampled: tuple[str, ...]  # relative positions, because the clip has another size
    untouched: tuple[str, ...]  # nothing in the checkpoint corresponds to these
    head: bool  # whether the checkpoint's head was kept


def read_checkpoint(state: Mapping[str, object]) -> Checkpoint:
    """Recognise a state dict of either layout, whole or wrapped as PySlowFast saves it.

    Raises:
        BundleError: if it is not a MViTv2-S or -B with its class token, relative positions and head.
    """
    wrapped = state.get("model_state")
    tensors = {k: v for k, v in (wrapped if isinstance(wrapped, Mapping) else state).items() if isinstance(v, Tensor)}
    layout = next((layout for name, layout in _FIRST_WEIGHT.items() if name in tensors), None)
    if layout is None:
        raise BundleError(
            f"it has the layout of neither PySlowFast's nor torchvision's MViTv2: {_some(sorted(map(str, state)))}"
        )
    weights = {_rename(name, layout): value.detach().float() for name, value in tensors.items()}
    if "cls_token" in weights:
        weights["cls_token"] = weights["cls_token"].reshape(1, 1, -1)  # torchvision stores it flat
    model, trunk = _shape(weights)
    with torch.device("meta"):
        ours = Fluxformer(replace(model_config(model), trunk=trunk), num_classes=1)
    expected = {name: value.shape for name, value in ours.state_dict().items()}
    wrong = [f"missing {k}" for k in expected if k not in weights]
    wrong += [f"unexpected {k}" for k in weights if k not in expected]
    for key in expected.keys() & weights.keys():
        found, needed = weights[key].shape, expected[key]
        if key.startswith("head."):
            found, needed = found[1:], needed[1:]
        if found != needed:
            wrong.append(f"{key} has shape {tuple(found)} instead of {tuple(needed)}")
        elif not weights[key].isfinite().all():
            wrong.append(f"{key} has values that are not finite")
    if not wrong and len(weights["head.bias"]) != len(weights["head.weight"]):
        wrong.append("head.weight and head.bias have different lengths")
    if wrong:
        raise BundleError(f"its weights are not those of the MViTv2 that {model} is: {_some(sorted(wrong))}")
    return Checkpoint(layout, model, trunk, weights)


@torch.no_grad()
def initialise_from(model: Fluxformer, checkpoint: Checkpoint) -> Transfer:
    """Copy a checkpoint into a model with the same trunk, for any clip size, in place.

    RGB takes the checkpoint's weights one to one. Flow starts from the same: its attention from the block's attention,
    its stem from the mean over the colours, since u, v and magnitude are no colours. Closed gates make the duplex
    blocks start as those of the checkpoint. The head is kept if it has as many outputs; what the checkpoint does not
    have (clustering, final self-attention, another head) stays as it is.

    Raises:
        BundleError: if a shape differs in anything but relative positions and head.
    """
    head = model.head.out_features == checkpoint.classes
    weights, resampled, untouched, wrong = {}, [], [], []
    for name, own in model.state_dict().items():
        source = _source(name, own, checkpoint.weights)
        if name.startswith("head.") and not head:
            source = None
        if source is None:
            untouched.append(name)
            continue
        if _REL_POS.search(name) and source.shape[1:] == own.shape[1:] and len(source) != len(own):
            source = F.interpolate(source.T[None], size=len(own), mode="linear")[0].T
            resampled.append(name)
        if source.shape != own.shape:
            wrong.append(f"{name} has shape {tuple(source.shape)}, the model needs {tuple(own.shape)}")
        weights[name] = source
    if wrong:
        raise BundleError(f"the checkpoint does not fit the model: {_some(sorted(wrong))}")
    model.load_state_dict(weights, strict=False)
    return Transfer(len(weights), tuple(resampled), tuple(untouched), head)


def _source(name: str, own: Tensor, weights: dict[str, Tensor]) -> Tensor | None:
    """The checkpoint's tensor from which a tensor of the model starts."""
    if name.endswith((".gamma", ".value_gate")):
        return torch.zeros_like(own)
    if name.startswith("flow_embed."):
        stem = weights.get(name.replace("flow_embed.", "patch_embed.", 1))
        return stem.mean(dim=1, keepdim=True).expand_as(stem) if stem is not None and stem.dim() == 5 else stem
    if ".flow_attn." in name:
        source = weights.get(name.replace(".flow_attn.", ".attn."))
        # Rows are queries, keys, values; flow that reads RGB's values has no third part.
        return source[: len(own)] if source is not None and ".qkv." in name else source
    return weights.get(name)


def _shape(weights: dict[str, Tensor]) -> tuple[str, MViTConfig]:
    """The plain trunk of as many blocks, with the clip that the relative positions of the first block tell."""
    blocks = {int(m[1]) for name in weights if (m := re.match(r"blocks\.(\d+)\.", name))}
    by_depth = {sum(model_config(name).trunk.depths): name for name in _TRUNKS}
    if blocks != set(range(len(blocks))) or len(blocks) not in by_depth:
        known = " or ".join(f"{depth} ({name})" for depth, name in by_depth.items())
        raise BundleError(f"it has {len(blocks)} blocks, the known MViTv2 have {known}")
    tables = [weights.get(f"blocks.0.attn.rel_{axis}.table") for axis in "thw"]
    if any(table is None for table in tables):
        raise BundleError("it has no relative positions in time, height and width: this is not a MViTv2 for video")
    rows = [len(table) for table in tables if table is not None]
    model = by_depth[len(blocks)]
    trunk = model_config(model).trunk
    frames, height, width = ((n + 1) // 2 * stride for n, stride in zip(rows, trunk.stem_stride, strict=True))
    if height != width:
        raise BundleError(f"its clips are {height} x {width} px, but only square ones can be used")
    try:
        return model, replace(trunk, frames=frames, size=height)
    except ConfigError as error:
        raise BundleError(f"its relative positions are of no clip: {error}") from None


def _rename(name: str, layout: Layout) -> str:
    for pattern, ours in _RENAMES[layout].items():
        name = re.sub(pattern, ours, name)
    return name


def _some(things: list[str]) -> str:
    more = f" and {len(things) - 4} more" if len(things) > 4 else ""
    return "; ".join(things[:4]) + more if things else "it is empty"
