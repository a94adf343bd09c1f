"""Export of a net as a graph, for the backends that compile graphs."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.export import Dim, ExportedProgram

from fluxformer_core.backends.base import BuildRequest
from fluxformer_core.errors import BackendError, first_line


def export(net: nn.Module, request: BuildRequest) -> ExportedProgram:
    """Export a net, in its precision and on its device, for batch 1 or for any batch up to `request.batch`.

    Raises:
        BackendError: if the net cannot be exported.
    """
    first = next(net.parameters())
    # The exporter takes a dynamic dimension of size 1 for a constant, so the example of a dynamic batch has size 2.
    inputs = tuple(x.to(first.device, first.dtype) for x in request.noise(min(request.batch, 2)))
    shapes: Any = None
    if request.batch > 1:
        batch = Dim("batch", min=1, max=request.batch)
        shapes = tuple({0: batch} for _ in inputs)
    try:
        with torch.no_grad():
            return torch.export.export(net, inputs, dynamic_shapes=shapes, strict=False)
    except Exception as error:  # the exporter raises errors of many types
        raise BackendError(f"{request.name} cannot be exported: {first_line(error)}") from error
