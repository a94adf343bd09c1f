"""Several nets that are used as one ("deep ensemble", Lakshminarayanan et al. 2017)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from fluxformer_core.models.layers import Prediction


class Ensemble(nn.Module):
    """The mean of the members' logits; their embeddings side by side.

    Members that were trained from different random weights agree on what they have learnt, and less on everything else.
    Unlike in the paper, logits and not probabilities are averaged, so that one confident member decides early
    (docs/measurements/decisions.md).

    Args:
        members: nets with the same labels and the same clip.
    """

    def __init__(self, members: Sequence[nn.Module]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)

    def forward(self, rgb: Tensor, flow: Tensor | None = None) -> Prediction:
        """Classify clips.

        Args:
            rgb: (B, 3, T, H, W), normalised as the ClipSpec says.
            flow: (B, 3, T, H, W), encoded (u, v, magnitude), or None to run without flow.

        Returns:
            Logits (B, classes), and embeddings (B, members * D); the logits are a linear function of the embeddings.
        """
        outputs = [member(rgb, flow) for member in self.members]
        logits = torch.stack([output.logits for output in outputs]).mean(dim=0)
        return Prediction(logits, torch.cat([output.embedding for output in outputs], dim=-1))
