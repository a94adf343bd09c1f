"""Whether Torch-TensorRT would take a model whole: its own lowering, converter check and partitioner, without a GPU.

It says nothing of kernels, precision or speed. It needs an interpreter with torch_tensorrt 2.13 (see
docs/measurements/parity.md) and prints a line of JSON per case.

Example:
    PYTHONPATH=. python test/backends/trt/partition.py fluxformer_nano max_pool_ceil --precision fp16
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import torch
from standin import import_torch_tensorrt, pretended_gpu
from torch import Tensor, nn

from fluxformer_core.backends import tensorrt
from fluxformer_core.backends.base import DTYPES, InferencePrecision, tensors_of
from fluxformer_core.models.gmflow import GMFlow
from fluxformer_core.models.registry import clip_spec, create_model, list_models, model_config

CHANGED: dict[str, tuple[str, dict[str, object]]] = {
    "video_focalnet_nano, causal": ("video_focalnet_nano", {"causal": True}),
    "emim_nano, next and padded": ("emim_nano", {"pairing": "next", "border": "pad"}),
    "fluxformer_nano, two of them": ("fluxformer_nano", {"members": 2}),
}
"""Models with another configuration than the default one, whose graphs differ."""

# What cannot be converted is to be told, not raised; all else is as engines are built.
SETTINGS: dict[str, Any] = {**tensorrt.SETTINGS, "require_full_compilation": False}


@dataclass(frozen=True)
class Report:
    """What became of one graph."""

    case: str
    precision: str
    batch: str  # static or dynamic
    operators: int
    convertible: int
    engines: int
    left_to_torch: list[str]  # operators without a converter
    difference: float | None  # of the fp32 graph to eager, both run in fp64, relative to the greatest output


class BatchedProduct(nn.Module):
    """baddbmm, which has no converter."""

    def forward(self, x: Tensor) -> Tensor:
        square = x.flatten(2)
        return torch.baddbmm(square @ square.transpose(1, 2), square, square.transpose(1, 2))


def negative_controls() -> dict[str, Callable[[], nn.Module]]:
    """Nets that must not pass, or the check would be blind."""
    return {
        "max_pool_ceil": lambda: nn.Sequential(nn.Conv3d(3, 4, 3), nn.MaxPool3d(2, ceil_mode=True)),
        "baddbmm": BatchedProduct,
    }


def example(case: str, precision: InferencePrecision) -> tuple[nn.Module, tuple[Tensor, ...]]:
    """A case's net with random weights, typed as engines are, and inputs for it, batch 2."""
    net, inputs = _wide_example(case)
    return tensorrt.typed(net, precision), tuple(x.to(DTYPES[precision]) for x in inputs)


def _wide_example(case: str) -> tuple[nn.Module, tuple[Tensor, ...]]:
    torch.manual_seed(0)
    if case in negative_controls():
        return negative_controls()[case]().eval(), (torch.randn(2, 3, 8, 8, 8),)
    if case == "gmflow":
        return GMFlow().eval(), tuple(255 * torch.rand(2, 2, 3, 224, 224))
    name, changes = CHANGED.get(case, (case, {}))
    model, spec = create_model(name, 27, **changes).eval(), clip_spec(name)
    with torch.no_grad():
        for parameter_name, parameter in model.named_parameters():
            if parameter_name.endswith(("gamma", "value_gate")):
                parameter.normal_()  # closed gates would hide the flow stream
    rgb, flow = torch.randn(2, 2, 3, spec.frames, spec.size, spec.size)
    return model, (rgb, flow.clamp(-1, 1)) if model_config(name).takes_flow else (rgb,)


@torch.no_grad()
def check(case: str, precision: InferencePrecision, *, dynamic: bool) -> Report:
    """Export, lower and partition a case's net; in fp32 run what comes out beside eager, batch 1."""
    from torch_tensorrt.dynamo import CompilationSettings, partitioning
    from torch_tensorrt.dynamo import compile as compile_engine
    from torch_tensorrt.dynamo.conversion import DYNAMO_CONVERTERS
    from torch_tensorrt.dynamo.lowering import get_decompositions, post_lowering, pre_export_lowering

    unknown = tensorrt.unknown_settings(compile_engine)
    assert not unknown, f"torch_tensorrt swallows unknown keywords silently: {unknown}"
    model, inputs = example(case, precision)
    one = tuple(x[:1] for x in inputs)
    batch = torch.export.Dim("batch", min=1, max=8)
    with pretended_gpu():
        settings = CompilationSettings(**SETTINGS)
        program = torch.export.export(
            model,
            inputs if dynamic else one,
            dynamic_shapes=tuple({0: batch} for _ in inputs) if dynamic else None,
            strict=False,
        )
        program = pre_export_lowering(program, settings).run_decompositions(get_decompositions())
        lowered = post_lowering(program.module(), settings)
        DYNAMO_CONVERTERS.set_compilation_settings(settings)
        convertible, operators = partitioning.get_graph_converter_support(lowered, set())
        partitioned, support = partitioning.fast_partition(
            lowered, min_block_size=1, torch_executed_ops=set(), require_full_compilation=False
        )
    parts = [name for name, _ in partitioned.named_children()]
    difference = None
    if precision == "fp32":  # a processor takes minutes for half of it
        # In fp64, where only the graph can differ: GMFlow with random weights is 1e-4 away from itself in fp32.
        wide = tuple(x.double() for x in one)
        pairs = zip(tensors_of(partitioned.double()(*wide)), tensors_of(model.double()(*wide)), strict=True)
        difference = max(((ours - theirs).abs().max() / theirs.abs().max()).item() for ours, theirs in pairs)
    return Report(
        case=case,
        precision=precision,
        batch="dynamic" if dynamic else "static",
        operators=operators,
        convertible=convertible,
        engines=sum("_run_on_acc" in name for name in parts),
        left_to_torch=sorted(map(str, support.unsupported_operators)) + [p for p in parts if "_run_on_gpu" in p],
        difference=difference,
    )


def main() -> None:
    """Print a line of JSON per case and kind of batch."""
    cases = [*list_models(), *CHANGED, "gmflow", *negative_controls()]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", choices=cases, help=f"default: all of {', '.join(cases)}")
    parser.add_argument("--precision", nargs="+", choices=list(DTYPES), default=["fp32"], help="default: fp32")
    options = parser.parse_args()
    torch.set_num_threads(1)
    import_torch_tensorrt()
    for case in options.cases or cases:
        for precision in options.precision:
            for dynamic in (False, True):
                print(json.dumps(asdict(check(case, precision, dynamic=dynamic))), flush=True)


if __name__ == "__main__":
    main()
