"""Several nets that answer as one ("deep ensemble", Lakshminarayanan et al. 2017)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from fluxformer_core.models.layers import Prediction


class Ensemble(nn.Module):
    """The mean of the members' probabilities; their embeddings side by side.

    Members that were trained from different random weights agree on what they learnt, and less on what they did not: so
    the mean is right more often than each, and less sure where none of the labels fits.

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
            Logarithms of the mean probabilities as logits (B, classes), and embeddings (B, members * D).
        """
        answers = [member(rgb, flow) for member in self.members]
        # By logarithms: in half precision a small probability would be none.
        summed = torch.stack([answer.logits.log_softmax(dim=-1) for answer in answers]).logsumexp(dim=0)
        embedding = torch.cat([answer.embedding for answer in answers], dim=-1)
        return Prediction(summed - math.log(len(answers)), embedding)
