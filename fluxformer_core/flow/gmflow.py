"""GMFlow as a flow estimator: public weights, images of any size. For a GPU, or a CPU that has the time."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from fluxformer_core.errors import BundleError
from fluxformer_core.flow.base import ColourImage, FlowField, GreyImage
from fluxformer_core.models.gmflow import MULTIPLE, GMFlow, GMFlowConfig
from fluxformer_core.weights_file import check_weights, read_weights_file

SHORTEST_SIDE = 224
"""Pixels to which smaller images are enlarged: one cell of the net is 8 px, and an arm should be wider than that."""


class GMFlowEstimator:
    """Flow by global matching.

    Images are resized to multiples of 16, and enlarged if their shorter side is below SHORTEST_SIDE; the field is
    resized back and its displacements are those of the images as given.

    Args:
        weights: by the published names; the number of layers is what they hold.
        device: where the net runs.

    Raises:
        BundleError: if the weights are not those of a GMFlow or UniMatch of scale 1.
    """

    name = "gmflow"
    colour = True

    def __init__(self, weights: Mapping[str, Tensor], *, device: str = "cpu") -> None:
        self.layers = _layers(weights)
        check_weights(GMFlow(GMFlowConfig(MULTIPLE, MULTIPLE, self.layers)).state_dict(), weights)
        self._weights, self._device = weights, device
        self._net = self._build(SHORTEST_SIDE, SHORTEST_SIDE)

    @classmethod
    def load(cls, path: Path, *, device: str = "cpu") -> GMFlowEstimator:
        """Read a checkpoint as GMFlow and UniMatch publish them, or the same weights as .safetensors.

        Raises:
            BundleError: if it is missing or damaged, or not a GMFlow or UniMatch of scale 1.
        """
        content = read_weights_file(path)
        found = content.get("model", content)
        if not isinstance(found, Mapping) or not all(isinstance(value, Tensor) for value in found.values()):
            raise BundleError(f"{path} holds no weights by name; wanted is a GMFlow or UniMatch checkpoint of scale 1")
        try:
            return cls({name: value.float() for name, value in found.items()}, device=device)
        except BundleError as error:
            raise BundleError(f"{path} is refused: {error}") from None

    @torch.inference_mode()
    def __call__(self, previous: GreyImage | ColourImage, current: GreyImage | ColourImage) -> FlowField:
        """Displacement of each pixel of `previous` towards `current`; grey images do, too."""
        height, width = previous.shape[:2]
        self._fit(height, width)
        config = self._net.config
        flow = self._net(*(self._tensor(image) for image in (previous, current)))[0].permute(1, 2, 0).cpu().numpy()
        if flow.shape[:2] != (height, width):
            flow = cv2.resize(flow, (width, height), interpolation=cv2.INTER_AREA)
        return np.asarray(flow * (width / config.width, height / config.height), dtype=np.float32)

    def _fit(self, height: int, width: int) -> None:
        """Have a net for images of this size."""
        scale = max(1.0, SHORTEST_SIDE / min(height, width))
        wanted = tuple(MULTIPLE * max(1, round(scale * length / MULTIPLE)) for length in (height, width))
        if wanted != (self._net.config.height, self._net.config.width):
            self._net = self._build(*wanted)

    def _build(self, height: int, width: int) -> GMFlow:
        net = GMFlow(GMFlowConfig(height, width, self.layers))
        net.load_state_dict(self._weights)
        return net.eval().to(self._device)

    def _tensor(self, image: GreyImage | ColourImage) -> Tensor:
        """The image as the net wants it, (1, 3, H, W)."""
        colour = image if image.ndim == 3 else cv2.cvtColor(image, cv2.COLOR_GRAY2RGB)
        config = self._net.config
        if colour.shape[:2] != (config.height, config.width):
            colour = cv2.resize(colour, (config.width, config.height), interpolation=cv2.INTER_LINEAR)
        return torch.from_numpy(np.ascontiguousarray(colour)).to(self._device).permute(2, 0, 1)[None].float()


def _layers(weights: Mapping[str, Tensor]) -> int:
    """Transformer blocks that the weights are of."""
    if "backbone.trident_conv.weight" in weights or any(name.startswith("refine") for name in weights):
        raise BundleError("it is a net of two scales or with refinement; only scale 1 is known here")
    found = {match[1] for name in weights if (match := re.match(r"transformer\.layers\.(\d+)\.", name))}
    if not found:
        raise BundleError("it has no transformer.layers: it is not a GMFlow")
    return len(found)
