"""Independent implementations, and their outputs that references.npz keeps.

Every test that compares with one of these implementations compares with its kept output as well, so parity is checked
on machines without the implementation too. `make test` installs the packages that PyPI serves into FOLDER.
`PYTHONPATH=.:test python test/references.py` computes the kept outputs anew; an output whose implementation is missing
stays as it is.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable
from functools import cache
from importlib import import_module
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import torch
from gmflow_weights import random_weights
from helpers import texture
from public_layouts import CLASSES, slowfast_state, torchvision_state
from torch import Tensor, nn

from fluxformer_core.evaluation.metrics.segments import THRESHOLDS

KEPT = Path(__file__).with_suffix(".npz")
FOLDER = Path(sys.prefix) / "references"
MS_TCN = "FLUXFORMER_MS_TCN"
"""Environment variable that names a checkout of github.com/yabufarha/ms-tcn, which no package index serves."""
GMFLOW = "FLUXFORMER_GMFLOW"
"""Environment variable that names a checkout of github.com/haofeixu/gmflow: the authors' code instead of ptlflow's."""

MVITS = (("S", 4, 64), ("B", 6, 32), ("S", 16, 224))  # variant, frames, pixels
_DEPTHS = {"S": (1, 2, 11, 2), "B": (2, 3, 16, 3)}
HEIGHT, WIDTH = 64, 96


class MissingReferenceError(ImportError):
    """The independent implementation is not on this machine."""


def outputs(reference: Callable[..., np.ndarray], *case: object) -> list[np.ndarray]:
    """What the implementation gives for a case: the kept output and, where it is installed, what it computes now."""
    with np.load(KEPT) as arrays:
        kept: np.ndarray = arrays[_key(reference, case)]
    try:
        return [kept, reference(*case)]
    except MissingReferenceError:
        return [kept]


def _key(reference: Callable[..., np.ndarray], case: Iterable[object]) -> str:
    return " ".join(map(str, (reference.__name__, *case)))


def _import(name: str) -> ModuleType:
    """Import from FOLDER, without leaving that folder to the imports of others, which would then use torchvision."""
    sys.path.append(str(FOLDER))
    try:
        return import_module(name)
    except ImportError as error:
        raise MissingReferenceError(f"{name} is not installed: `make test` installs it") from error
    finally:
        sys.path.remove(str(FOLDER))


# torchvision: MViTv2 (Li et al. 2022) and the colour wheel of Baker et al. 2011


@cache
def _operators() -> torch.library.Library:
    """The compiled operators that torchvision defines when it is imported; nothing here calls them.

    The compiled half of PyPI's torchvision belongs to PyPI's torch with CUDA and does not load beside another build.
    """
    operators = torch.library.Library("torchvision", "FRAGMENT")
    for name in ("nms", "qnms"):
        operators.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    return operators


def _torchvision(module: str) -> ModuleType:
    try:
        _import("torchvision.extension")
    except RuntimeError:
        _operators()
    return _import(module)


def clip(frames: int, size: int, batch: int = 1) -> Tensor:
    return torch.randn(batch, 3, frames, size, size, generator=torch.Generator().manual_seed(1))


@torch.no_grad()
def mvit_logits(variant: str, frames: int, size: int) -> np.ndarray:
    """Logits (1, CLASSES) of torchvision's MViTv2-S, or of -B by the same rules, with the weights of public_layouts."""
    mvit = _torchvision("torchvision.models.video.mvit")
    blocks, channels, stride = [], 96, 8
    for stage, depth in enumerate(_DEPTHS[variant]):
        for index in range(depth):
            transition = stage > 0 and index == 0
            out, stride = (2 * channels, stride // 2) if transition else (channels, stride)
            pool = [1, 2, 2] if transition else [1, 1, 1]
            blocks.append(mvit.MSBlockConfig(out // 96, channels, out, [3, 3, 3], [3, 3, 3], pool, [1, stride, stride]))
            channels = out
    net: nn.Module = mvit.MViT(
        (size, size), frames, blocks, residual_pool=True, residual_with_cls_embed=False, rel_pos_embed=True,
        proj_after_attn=True, num_classes=CLASSES,
    ).eval()  # fmt: skip
    net.load_state_dict(torchvision_state(slowfast_state(variant, frames=frames, size=size)))
    return net(clip(frames, size)).numpy()


def some_flow() -> np.ndarray:
    """A flow (H, W, 2)."""
    return np.random.default_rng(0).normal(0, 3, (40, 50, 2)).astype(np.float32)


def flow_picture() -> np.ndarray:
    """The colours (H, W, 3) of `some_flow()`, of which the longest vector has the full colour."""
    draw = _torchvision("torchvision.utils").flow_to_image
    picture: Tensor = draw(torch.from_numpy(some_flow()).permute(2, 0, 1))
    return picture.permute(1, 2, 0).numpy()


# GMFlow (Xu et al. 2022)


def pair(right: int = 5, down: int = 3, *, height: int = HEIGHT, width: int = WIDTH, seed: int = 0) -> list[Tensor]:
    """Two views (1, 3, H, W) of one picture, 0..255."""
    picture = np.stack([texture(height + 16, width + 16, seed=seed + channel) for channel in range(3)])
    views = picture[:, 8 : 8 + height, 8 : 8 + width], picture[:, 8 - down :, 8 - right :][:, :height, :width]
    return [torch.from_numpy(view.copy())[None].float() for view in views]


@torch.no_grad()
def gmflow_flow() -> np.ndarray:
    """Flow (1, 2, H, W) in pixels between the images of `pair()`, with random weights."""
    first, second = pair()
    if checkout := os.environ.get(GMFLOW):
        if checkout not in sys.path:
            sys.path.append(checkout)
        theirs = _import("gmflow.gmflow").GMFlow().eval()
        theirs.load_state_dict(random_weights())
        settings = {"attn_splits_list": [2], "corr_radius_list": [-1], "prop_radius_list": [-1]}
        return theirs(first, second, **settings)["flow_preds"][-1].numpy()
    theirs = _ptlflow().GMFlow().eval()
    theirs.load_state_dict(random_weights())
    return theirs({"images": torch.stack([first, second], dim=1).flip(2) / 255.0})["flows"][:, 0].numpy()


class _Base(nn.Module):
    """Stands for ptlflow's BaseModel, which loads Lightning and all its models: only normalises, in BGR from 0 to 1."""

    def __init__(self, **_: Any) -> None:
        super().__init__()

    def preprocess_images(
        self, images: Tensor, *, bgr_add: list[float], bgr_mult: list[float], **_: Any
    ) -> tuple[Tensor, None]:
        shape = (1, 1, 3, 1, 1)
        images = (images + torch.tensor(bgr_add).view(shape)) * torch.tensor(bgr_mult).view(shape)
        return images.flip(-3), None

    def postprocess_predictions(self, prediction: Tensor, *_: Any, **__: Any) -> Tensor:
        return prediction


def _ptlflow() -> ModuleType:
    """ptlflow's GMFlow without the rest of that package, whose requirements are many and not needed for the net."""
    if not (FOLDER / "ptlflow").is_dir():
        raise MissingReferenceError("ptlflow is not installed: `make test` installs it")

    def module(name: str, **content: Any) -> None:
        made = sys.modules.setdefault(f"ptlflow{name}", ModuleType(f"ptlflow{name}"))
        made.__dict__.update(content)

    for package in ("", ".utils", ".models", ".models.base_model"):
        module(package, __path__=[str(FOLDER.joinpath("ptlflow", *package.split(".")))])
    module(".utils.registry", register_model=lambda model: model, trainable=lambda model: model)
    module(".models.base_model.base_model", BaseModel=_Base)
    return _import("ptlflow.models.gmflow.gmflow")


# Edit score and segmental F1 (Lea et al. 2017), as MS-TCN (Abu Farha and Gall 2019) counts them


def label_sequences() -> list[tuple[list[str], list[str]]]:
    """Pairs (predicted, true) of a name for every frame; every true sequence has at least one segment."""
    rng = np.random.default_rng(0)
    sequences = []
    for _ in range(500):
        predicted, truth = (
            [name for name in rng.choice(["", "a", "b", "c"], rng.integers(1, 12)) for _ in range(rng.integers(1, 7))]
            for _ in range(2)
        )
        length = min(len(predicted), len(truth))
        if any(truth[:length]):  # MS-TCN divides by the number of true segments
            sequences.append((predicted[:length], truth[:length]))
    return sequences


@cache
def _ms_tcn() -> dict[str, Any]:
    checkout = os.environ.get(MS_TCN)
    if checkout is None:
        raise MissingReferenceError(f"{MS_TCN} names no checkout of github.com/yabufarha/ms-tcn")
    # The functions of eval.py are valid in any Python, its main program is Python 2; np.float is gone from numpy.
    functions = (Path(checkout) / "eval.py").read_text().partition("def main")[0].replace("import numpy as np", "")
    space: dict[str, Any] = {"np": SimpleNamespace(**{**vars(np), "float": float})}
    exec(functions, space)
    return space


def edit_scores() -> np.ndarray:
    """Edit scores in percent, one for each pair of `label_sequences()`."""
    score = _ms_tcn()["edit_score"]
    return np.array([score(predicted, truth, bg_class=[""]) for predicted, truth in label_sequences()])


def segment_counts(overlap: float) -> np.ndarray:
    """Right, false and missed segments (N, 3), for each pair of `label_sequences()`."""
    count = _ms_tcn()["f_score"]
    return np.array([count(predicted, truth, overlap, bg_class=[""]) for predicted, truth in label_sequences()])


def main() -> None:
    with np.load(KEPT) as arrays:
        kept = dict(arrays)
    cases: list[tuple[Callable[..., np.ndarray], tuple[object, ...]]] = [
        *((mvit_logits, case) for case in MVITS),
        (flow_picture, ()),
        (gmflow_flow, ()),
        (edit_scores, ()),
        *((segment_counts, (overlap,)) for overlap in THRESHOLDS),
    ]
    for reference, case in cases:
        try:
            kept[_key(reference, case)] = reference(*case)
        except MissingReferenceError as error:
            print(f"{_key(reference, case)} stays as it is: {error}")
    np.savez_compressed(KEPT, **kept)
    print(f"{KEPT}: {KEPT.stat().st_size / 1000:.1f} kB")


if __name__ == "__main__":
    main()
