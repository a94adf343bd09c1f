"""GMFlow (Xu et al. 2022) as a flow estimator, with published weights, for images of any size. Slow without a GPU."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from fluxformer_core.errors import BundleError
from fluxformer_core.flow.classical import ColourImage, FlowField, GreyImage
from fluxformer_core.models.gmflow import MULTIPLE, GMFlow, GMFlowConfig
from fluxformer_core.weights_file import check_weights, read_weights_file

SHORTEST_SIDE = 224
"""Shortest side in pixels to which smaller images are enlarged: a cell of the net is 8 px, narrower than an arm."""

Run = Callable[[Tensor, Tensor], tuple[Tensor, ...]]
"""Takes two images, each (1, 3, H, W) float32 on the CPU, and returns the flow, (1, 2, H, W), in a tuple."""

Runner = Callable[[nn.Module, str, tuple[int, ...]], Run]
"""Loads a net; takes the net, a digest of its weights, and the shape of an image."""


def run_in_pytorch(net: nn.Module, digest: str, shape: tuple[int, ...]) -> Run:
    """Run a net in PyTorch on the device that holds the net."""
    return lambda first, second: (net(first, second),)


class GMFlowEstimator:
    """Flow by global matching.

    The sides of the images are resized to multiples of 16, and enlarged if the shorter side is below SHORTEST_SIDE. The
    flow field is resized back, and its displacements are in pixels of the original images.

    The weights by their published names determine the number of layers. `run` loads the net for one size of images. A
    backend may keep an engine under the digest of the weights.

    Raises:
        BundleError: if the weights are not those of a GMFlow or UniMatch of scale 1.
    """

    name = "gmflow"
    colour = True

    def __init__(self, weights: Mapping[str, Tensor], *, run: Runner = run_in_pytorch, digest: str = "") -> None:
        self.layers = _layers(weights)
        check_weights(GMFlow(GMFlowConfig(MULTIPLE, MULTIPLE, self.layers)).state_dict(), weights)
        self._weights, self._runner, self._digest = weights, run, digest
        self._size = (0, 0)
        self._net: Run | None = None

    @classmethod
    def load(cls, path: Path, *, run: Runner = run_in_pytorch) -> GMFlowEstimator:
        """Read a published checkpoint of GMFlow or UniMatch, or the same weights as .safetensors.

        Raises:
            BundleError: if the file is missing or damaged, or holds no GMFlow or UniMatch of scale 1.
        """
        content = read_weights_file(path)
        found = content.get("model", content)
        if not isinstance(found, Mapping) or not all(isinstance(value, Tensor) for value in found.values()):
            raise BundleError(f"{path} holds no named weights; use a GMFlow or UniMatch checkpoint of scale 1")
        try:
            weights = {name: value.float() for name, value in found.items()}
            return cls(weights, run=run, digest=hashlib.sha256(path.read_bytes()).hexdigest()[:12])
        except BundleError as error:
            raise BundleError(f"{path} is refused: {error}") from None

    @torch.inference_mode()
    def __call__(self, previous: GreyImage | ColourImage, current: GreyImage | ColourImage) -> FlowField:
        """Displacement of each pixel of `previous` towards `current`; grey images are converted to colour."""
        height, width = previous.shape[:2]
        net = self._fit(height, width)
        rows, columns = self._size
        flow = net(*(self._tensor(image) for image in (previous, current)))[0][0].permute(1, 2, 0).numpy()
        if flow.shape[:2] != (height, width):
            flow = cv2.resize(flow, (width, height), interpolation=cv2.INTER_AREA)
        return np.asarray(flow * (width / columns, height / rows), dtype=np.float32)

    def _fit(self, height: int, width: int) -> Run:
        """The loaded net for images of this size; the net of another size is dropped."""
        scale = max(1.0, SHORTEST_SIDE / min(height, width))
        rows, columns = (MULTIPLE * max(1, round(scale * length / MULTIPLE)) for length in (height, width))
        if self._net is None or self._size != (rows, columns):
            net = GMFlow(GMFlowConfig(rows, columns, self.layers))
            net.load_state_dict(self._weights)
            self._net, self._size = self._runner(net.eval(), self._digest, (1, 3, rows, columns)), (rows, columns)
        return self._net

    def _tensor(self, image: GreyImage | ColourImage) -> Tensor:
        """The image in the net's format and size, (1, 3, H, W)."""
        colour = image if image.ndim == 3 else cv2.cvtColor(image, cv2.COLOR_GRAY2RGB)
        if colour.shape[:2] != self._size:
            colour = cv2.resize(colour, self._size[::-1], interpolation=cv2.INTER_LINEAR)
        return torch.from_numpy(np.ascontiguousarray(colour)).permute(2, 0, 1)[None].float()


def _layers(weights: Mapping[str, Tensor]) -> int:
    """Number of transformer blocks in the weights."""
    if "backbone.trident_conv.weight" in weights or any(name.startswith("refine") for name in weights):
        raise BundleError("the net has two scales or a refinement; only scale 1 is supported")
    found = {match[1] for name in weights if (match := re.match(r"transformer\.layers\.(\d+)\.", name))}
    if not found:
        raise BundleError("the net has no transformer.layers, so it is no GMFlow")
    return len(found)
