"""A net as a graph, for what compiles graphs."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.export import Dim, ExportedProgram

from fluxformer_core.backends.base import Order
from fluxformer_core.errors import BackendError


def export(net: nn.Module, order: Order) -> ExportedProgram:
    """The graph of a net, for one input at a time or for up to `order.batch` of them.

    Args:
        net: in the precision and on the device that the graph is to have.
        order: what the graph is for.

    Raises:
        BackendError: if the net has no graph.
    """
    first = next(net.parameters())
    # One of a batch that may grow would be taken for a constant.
    inputs = tuple(x.to(first.device, first.dtype) for x in order.noise(min(order.batch, 2)))
    shapes: Any = None
    if order.batch > 1:
        batch = Dim("batch", min=1, max=order.batch)
        shapes = tuple({0: batch} for _ in inputs)
    try:
        with torch.no_grad():
            return torch.export.export(net, inputs, dynamic_shapes=shapes, strict=False)
    except Exception as error:  # what an exporter stumbles over is not to be foreseen
        raise BackendError(f"{order.name} cannot be exported: {str(error).partition(chr(10))[0]}") from error
