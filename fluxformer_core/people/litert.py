"""Run a person net that ships with this package, by LiteRT."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fluxformer_core.errors import PeopleError, first_line

NETS = {
    "pose_detection": "9ba9dd3d42efaaba86b4ff0122b06f29c4122e756b329d89dca1e297fd8f866c",
    "pose_landmark_lite": "f17bfbecadb61c3be1baa8b8d851cc6619c870a87167b32848ad20db306b9d61",
}
"""The nets in `assets/person`, each with the SHA-256 of its file."""

FOLDER = Path(__file__).parents[1] / "assets" / "person"
"""Where the files of the nets lie."""


class Net:
    """One net with its own memory. Two threads must not call the same net at once.

    Args:
        name: one of NETS.
        threads: CPU threads that one call may use.

    Raises:
        PeopleError: if LiteRT cannot be imported, or if the net's file is missing, damaged or refused.
    """

    def __init__(self, name: str, threads: int = 1) -> None:
        path = FOLDER / f"{name}.tflite"
        try:
            content = path.read_bytes()
        except OSError as error:
            raise PeopleError(f"{path} cannot be read ({error.strerror}): install fluxformer again") from error
        # A damaged file can end the process inside LiteRT.
        if hashlib.sha256(content).hexdigest() != NETS[name]:
            raise PeopleError(f"{path} is damaged: install fluxformer again")
        try:
            from ai_edge_litert.interpreter import Interpreter
        except (ImportError, OSError) as error:
            raise PeopleError(
                f"LiteRT cannot be loaded ({first_line(error)}): pip install --force-reinstall ai-edge-litert"
            ) from error
        try:
            self._interpreter = Interpreter(model_content=content, num_threads=threads)
            self._interpreter.allocate_tensors()
        except (RuntimeError, ValueError) as error:
            raise PeopleError(f"LiteRT refuses {path.name}: {first_line(error)}") from error
        self._input = self._interpreter.get_input_details()[0]
        self._outputs = [output["index"] for output in self._interpreter.get_output_details()]

    @property
    def size(self) -> int:
        """Height and width of the picture that the net sees, px."""
        return int(self._input["shape"][1])

    def __call__(self, picture: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        """The outputs for one picture (size, size, 3), each without its batch axis."""
        self._interpreter.set_tensor(self._input["index"], picture[None])
        self._interpreter.invoke()
        return [self._interpreter.get_tensor(index)[0] for index in self._outputs]


def sigmoid(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """A net's logits as shares of 1."""
    return np.asarray(0.5 + 0.5 * np.tanh(0.5 * logits), np.float32)  # tanh does not overflow
