"""Several nets that answer as one ("deep ensemble", Lakshminarayanan et al. 2017)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from fluxformer_core.models.layers import Prediction


class Ensemble(nn.Module):
    """The mean of the members' logits; their embeddings side by side.

    Members that were trained from different random weights agree on what they learnt, and less on what they did not.
    Unlike in the paper, logits are averaged and not probabilities: a member that is sure need not wait for one that is
    not yet. What it brings is in docs/measurements/decisions.md.

    Args:
        members: nets of the same labels, which take the same clip.
    """

    def __init__(self, members: Sequence[nn.Module]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)

    def forward(self, rgb: Tensor, flow: Tensor | None = None) -> Prediction:
        """Classify clips.

        Args:
            rgb: (B, 3, T, H, W), normalised as the ClipSpec says.
            flow: (B, 3, T, H, W), encoded (u, v, magnitude), or None: the members go without.

        Returns:
            Logits (B, classes) and embeddings (B, members * D), of which the logits are a linear function.
        """
        answers = [member(rgb, flow) for member in self.members]
        logits = torch.stack([answer.logits for answer in answers]).mean(dim=0)
        return Prediction(logits, torch.cat([answer.embedding for answer in answers], dim=-1))
