"""One model at work, shared by all streams: bundle, flow estimator, backend and taught actions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from fluxformer_core.backends.base import InferencePrecision
from fluxformer_core.bundle import Bundle
from fluxformer_core.enrolled import EnrolledAction
from fluxformer_core.errors import BackendError
from fluxformer_core.stream.belief import softmax
from fluxformer_core.stream.clip import ClipBuffers, FrameSelection, build_clip
from fluxformer_core.stream.load import open_flow, open_model
from fluxformer_core.stream.taught import KnownActions, TaughtActions


@dataclass(frozen=True)
class ModelOutput:
    """What the model computed from one clip."""

    logits: NDArray[np.float32]  # (labels of the bundle,), not calibrated
    embedding: NDArray[np.float32]  # (D,)


class ClipModel:
    """A bundle's model, ready to run. It knows clips, not streams.

    Args:
        bundle: the model's weights, labels and clip.
        backend: what runs the model: one of `list_backends()`, or `auto`.
        precision: of the model's arithmetic.
        flow: estimator of optical flow, as `create_flow` names it; empty: the one that the model was trained with.

    Attributes:
        bundle: as given.
        spec: the clip that the model takes.
        flow: the flow estimator; None: the model gets no flow.
        network: computes a `Prediction` from rgb and flow tensors, (B, 3, T, S, S) each, float32 on the CPU.

    Raises:
        ConfigError: if there is no such estimator, or the name of a flow network lacks its file.
        BundleError: if the file of the flow network cannot be used.
        BackendError: if the backend cannot be used on this machine.
    """

    def __init__(
        self, bundle: Bundle, *, backend: str = "torch", precision: InferencePrecision = "fp32", flow: str = ""
    ) -> None:
        self.bundle, self.spec = bundle, bundle.spec
        self.flow = open_flow(flow or bundle.spec.flow, backend, precision)
        self.network = open_model(bundle, backend, precision, flow=self.flow is not None)
        self._buffers = ClipBuffers(self.spec.frames, self.spec.size)
        self._taught: TaughtActions | None = None
        self.enroll(bundle.enrolled)

    @property
    def enrolled(self) -> tuple[EnrolledAction, ...]:
        """The taught actions that are recognised besides the bundle's own."""
        return self._taught.actions if self._taught is not None else ()

    @property
    def labels(self) -> tuple[str, ...]:
        """All labels that can be recognised: the bundle's own, then those of taught actions."""
        return (*self.bundle.labels, *(action.label for action in self.enrolled))

    @property
    def backend(self) -> str:
        """What runs the model, and in which precision; `auto` has chosen by now."""
        return f"{self.network.net.backend} {self.network.net.precision}"

    @property
    def device(self) -> str:
        """Where the model runs, in words."""
        return self.network.net.device

    def describe(self) -> str:
        """One line for people: the model, its labels, and what runs it."""
        return f"{self.bundle.name} with {len(self.labels)} actions, run by {self.backend} on {self.device}"

    def enroll(self, actions: Sequence[EnrolledAction]) -> None:
        """Recognise these taught actions from now on, and no others.

        Raises:
            ConfigError: if the bundle has no statistics of its own actions.
        """
        self._taught = TaughtActions(actions, KnownActions(self.bundle)) if actions else None

    def warm_up(self, forwards: int = 2) -> None:
        """Run the model on zeros, so that the first clip takes no longer than the others."""
        size = (self.spec.frames, self.spec.size, self.spec.size)
        for _ in range(forwards):
            self._infer([(np.zeros((*size, 3), np.uint8), np.zeros((*size, 2), np.float32))])

    def infer(self, clips: Sequence[FrameSelection]) -> list[ModelOutput]:
        """What the model computes from each clip, all in one batch.

        Raises:
            BackendError: if the backend computes values that are not finite.
        """
        return self._infer([(clip.frames, clip.flow) for clip in clips])

    def probabilities(self, output: ModelOutput) -> NDArray[np.float32]:
        """Calibrated probabilities of all labels, (labels,)."""
        logits = output.logits / np.float32(self.bundle.metadata.temperature)
        return softmax(logits if self._taught is None else self._taught.extend(logits, output.embedding))

    @torch.inference_mode()
    def _infer(self, clips: Sequence[tuple[NDArray[np.uint8], NDArray[np.float32]]]) -> list[ModelOutput]:
        known = self.flow is not None
        buffers = self._buffers if len(clips) == 1 else None
        built = [build_clip(frames, flow if known else None, self.spec, buffers) for frames, flow in clips]
        if len(built) == 1:
            rgb, motion = built[0]
        else:
            rgb = torch.cat([colour for colour, _ in built])
            motion = torch.cat([field for _, field in built if field is not None]) if known else None
        prediction = self.network(rgb, motion)
        logits, embeddings = prediction.logits.numpy(), prediction.embedding.numpy()
        if not np.isfinite(logits).all():
            raise BackendError(f"{self.backend} on {self.device} computes values that are not finite")
        return [ModelOutput(*pair) for pair in zip(logits, embeddings, strict=True)]
