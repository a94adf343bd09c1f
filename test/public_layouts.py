"""Random weights under the names and in the shapes of the published MViTv2 checkpoints of PySlowFast and torchvision.

Nothing here uses our models: what is converted must not come from what is tested.
"""

from __future__ import annotations

import re

import torch
from torch import Tensor

FRAMES, SIZE, CLASSES = 4, 64, 400

_DEPTHS = {"S": (1, 2, 11, 2), "B": (2, 3, 16, 3)}


def slowfast_state(
    variant: str, *, frames: int = FRAMES, size: int = SIZE, classes: int = CLASSES, dtype: torch.dtype = torch.float32
) -> dict[str, Tensor]:
    """`model_state` of PySlowFast's MViTv2-S or -B."""
    generator = torch.Generator().manual_seed(0)
    state: dict[str, Tensor] = {}

    def put(name: str, *shape: int, around: float = 0.0) -> None:
        fan_in = shape[-1] if len(shape) == 2 else 27 if len(shape) == 5 else 100
        state[name] = (around + torch.randn(shape, generator=generator) / fan_in**0.5).to(dtype)

    def norm(name: str, dim: int) -> None:
        put(f"{name}.weight", dim, around=1.0)
        put(f"{name}.bias", dim)

    def linear(name: str, rows: int, columns: int) -> None:
        put(f"{name}.weight", rows, columns)
        put(f"{name}.bias", rows)

    put("cls_token", 1, 1, 96)
    put("patch_embed.proj.weight", 96, 3, 3, 7, 7)
    put("patch_embed.proj.bias", 96)
    dim, side, stride, block = 96, size // 4, 8, 0
    for stage, depth in enumerate(_DEPTHS[variant]):
        for index in range(depth):
            transition = stage > 0 and index == 0
            out = 2 * dim if transition else dim
            stride = stride // 2 if transition else stride
            queries = side // 2 if transition else side
            rows = 2 * max(queries, -(-side // stride)) - 1
            at = f"blocks.{block}"
            norm(f"{at}.norm1", dim)
            put(f"{at}.attn.rel_pos_h", rows, 96)
            put(f"{at}.attn.rel_pos_w", rows, 96)
            put(f"{at}.attn.rel_pos_t", frames - 1, 96)
            linear(f"{at}.attn.qkv", 3 * out, dim)
            for part in "qkv":
                put(f"{at}.attn.pool_{part}.weight", 96, 1, 3, 3, 3)
                norm(f"{at}.attn.norm_{part}", 96)
            linear(f"{at}.attn.proj", out, out)
            norm(f"{at}.norm2", out)
            linear(f"{at}.mlp.fc1", 4 * out, out)
            linear(f"{at}.mlp.fc2", out, 4 * out)
            if transition:
                linear(f"{at}.proj", out, dim)
            dim, side, block = out, queries, block + 1
    norm("norm", dim)
    linear("head.projection", classes, dim)
    return state


def torchvision_state(slowfast: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same weights as torchvision names them."""
    renames = {
        r"^patch_embed\.proj": "conv_proj",
        r"^cls_token$": "pos_encoding.class_token",
        r"attn\.proj\.": "attn.project.0.",
        r"attn\.pool_(.)\.": r"attn.pool_\1.pool.",
        r"attn\.norm_(.)\.": r"attn.pool_\1.norm_act.0.",
        r"mlp\.fc1": "mlp.0",
        r"mlp\.fc2": "mlp.3",
        r"^(blocks\.\d+)\.proj\.": r"\1.project.",
        r"^head\.projection": "head.1",
    }
    state = {}
    for name, value in slowfast.items():
        for pattern, theirs in renames.items():
            name = re.sub(pattern, theirs, name)  # noqa: PLW2901
        state[name] = value.flatten() if name == "pos_encoding.class_token" else value
    return state
