"""Weights of public checkpoints under the names of our models.

Tables of relative positions are resampled if the clip has another size. Weights that were trained on images become
kernels that see one moment in time, until they are trained on clips.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fluxformer_core.convert.layouts import LAYOUTS, LayoutName
from fluxformer_core.errors import BundleError
from fluxformer_core.models.registry import ModelConfig, create_model

_WRAPPERS = ("model_state", "model", "state_dict")  # names under which trainings save the weights
_REL_POS = re.compile(r"\.rel_[thw]\.table$")


@dataclass(frozen=True)
class Checkpoint:
    """A public net, under the names of the registered plain model of the same shape."""

    layout: LayoutName
    model: str  # the registered model that runs the weights unchanged
    config: ModelConfig  # of that model, for the clip that the checkpoint was trained on
    weights: dict[str, Tensor]  # float32 or integers
    images: bool = False  # whether the net was trained on single pictures

    @property
    def classes(self) -> int:
        """Outputs of the checkpoint's own head."""
        return len(self.weights["head.bias"])


@dataclass(frozen=True)
class Transfer:
    """Which weights of a model were initialised from a checkpoint."""

    copied: int  # tensors
    resampled: tuple[str, ...]  # relative positions, because the clip has another size
    untouched: tuple[str, ...]  # tensors without a counterpart in the checkpoint
    head: bool  # whether the checkpoint's head was kept


def read_checkpoint(state: Mapping[str, object]) -> Checkpoint:
    """Recognise a state dict of a known layout, whole or wrapped as trainings save it.

    Raises:
        BundleError: if the layout is unknown, or tensors of the net are missing.
    """
    wrapped = next((state[name] for name in _WRAPPERS if isinstance(state.get(name), Mapping)), state)
    assert isinstance(wrapped, Mapping)
    tensors = {k: v for k, v in wrapped.items() if isinstance(v, Tensor)}
    layouts = (found for found in LAYOUTS if found.mark in tensors and tensors[found.mark].dim() in found.mark_axes)
    if (layout := next(layouts, None)) is None:
        known = ", ".join(layout.net for layout in LAYOUTS)
        raise BundleError(f"it has no known layout ({known}): {_some(sorted(map(str, wrapped)))}")
    weights = {layout.rename(name): value.detach() for name, value in tensors.items()}
    weights = {name: value.float() if value.is_floating_point() else value for name, value in weights.items()}
    model, config = layout.shape(weights)
    with torch.device("meta"):
        expected = create_model(model, 1, config=config).state_dict()
    weights = {name: _reshaped(value, expected.get(name)) for name, value in weights.items()}
    flat = any(tensors[layout.mark].dim() < axes for axes in layout.mark_axes)
    moving = {name for name in expected if re.search(layout.video_only, name)}
    if moving and not moving & weights.keys():
        flat, expected = True, {name: value for name, value in expected.items() if name not in moving}
    if wrong := _differences(expected, weights):
        raise BundleError(f"its weights are not those of the {layout.net} that {model} is: {_some(sorted(wrong))}")
    return Checkpoint(layout.name, model, config, weights, flat)


def _reshaped(value: Tensor, expected: Tensor | None) -> Tensor:
    """The same values in our shape; a kernel for pictures becomes the middle slot of a kernel for clips."""
    if expected is None or value.shape == expected.shape:
        return value
    if [n for n in value.shape if n != 1] == [n for n in expected.shape if n != 1]:
        return value.reshape(expected.shape)
    if expected.dim() == 5 and value.shape == (*expected.shape[:2], *expected.shape[3:]):
        kernel = value.new_zeros(expected.shape)
        kernel[:, :, expected.shape[2] // 2] = value
        return kernel
    return value


def _differences(expected: Mapping[str, Tensor], weights: Mapping[str, Tensor]) -> list[str]:
    wrong = [f"missing {k}" for k in expected if k not in weights]
    wrong += [f"unexpected {k}" for k in weights if k not in expected]
    for key in expected.keys() & weights.keys():
        found, needed = weights[key].shape, expected[key].shape
        if key.startswith("head."):
            found, needed = found[1:], needed[1:]
        if found != needed:
            wrong.append(f"{key} has shape {tuple(found)} instead of {tuple(needed)}")
        elif not weights[key].isfinite().all():
            wrong.append(f"{key} has values that are not finite")
    if not wrong and len(weights["head.bias"]) != len(weights["head.weight"]):
        wrong.append("head.weight and head.bias have different lengths")
    return wrong


@torch.no_grad()
def initialise_from(model: nn.Module, checkpoint: Checkpoint) -> Transfer:
    """Copy a checkpoint into a model with the same trunk, for any clip size, in place.

    The RGB stream takes the checkpoint's weights. The flow stream starts from the same weights: its attention from the
    block's attention, its stem from the mean over the colours, since u, v and magnitude are no colours. Gates of zero
    make duplex blocks start as the checkpoint's blocks. The head is kept if it has the same number of outputs. Parts
    that the checkpoint lacks (clustering, final self-attention, motion mining, another head) keep their random weights.

    Raises:
        BundleError: if a shape differs in anything but relative positions and head.
    """
    head = len(model.get_parameter("head.bias")) == checkpoint.classes
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
    """The initial value of a model's tensor, from the checkpoint; None if the checkpoint has none."""
    if name.endswith((".gamma", ".value_gate")):
        return torch.zeros_like(own)
    if name.startswith("flow_embed."):
        stem = weights.get(name.replace("flow_embed.", "patch_embed.", 1))
        return stem.mean(dim=1, keepdim=True).expand_as(stem) if stem is not None and stem.dim() == 5 else stem
    if ".flow_attn." in name:
        source = weights.get(name.replace(".flow_attn.", ".attn."))
        # Rows are queries, keys, values; a flow attention over RGB's values has no rows for values.
        return source[: len(own)] if source is not None and ".qkv." in name else source
    return weights.get(name)


def _some(things: list[str]) -> str:
    more = f" and {len(things) - 4} more" if len(things) > 4 else ""
    return "; ".join(things[:4]) + more if things else "it is empty"
