"""The vocabulary that every other module shares: what an image is, what a clip is, what was recognised.

Stamps are integer nanoseconds of the camera's clock everywhere in this library; they are never the wall clock's.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, IntEnum
from typing import Literal, get_args

from fluxformer_core.errors import ConfigError

SECOND = 1_000_000_000
"""Nanoseconds in a second."""

OTHER = "other"
"""Reserved label of models also trained on what is no action: idle time, people walking past, cut-up clips."""

FlowName = Literal["dis", "farneback", "gmflow", "none"]
"""Estimators of optical flow; see flow/registry.py."""

SelectionName = Literal["flow_guided", "uniform"]
"""Ways to select a clip's frames; see stream/selection.py."""


FramingName = Literal["crop", "whole"]
"""What of an image becomes the square that the model sees: its centre square, or all of it, squeezed."""


class Pixels(str, Enum):
    """How the numbers of an image are to be read; shapes are (H, W) or (H, W, C)."""

    RGB = "rgb"  # uint8 (H, W, 3)
    BGR = "bgr"  # uint8 (H, W, 3)
    RGBA = "rgba"  # uint8 (H, W, 4)
    BGRA = "bgra"  # uint8 (H, W, 4)
    GREY = "grey"  # uint8 (H, W)
    DEPTH = "depth"  # uint16 (H, W) in millimetres, or float32 (H, W) in metres; 0, NaN and inf mean "no reading"


@dataclass(frozen=True)
class ClipSpec:
    """What a model was trained on: the recogniser builds exactly this from any camera.

    Raises:
        ConfigError: if a field is outside its range.
    """

    frames: int = 16  # T: frames, and flow fields, of a clip
    size: int = 64  # px: height and width of the model's input
    rate: float = 20.0  # Hz: frames are admitted to the window at this rate, by stamp
    window: int = 64  # admitted frames in the rolling window, from which T are selected
    mean: tuple[float, float, float] = (0.45, 0.45, 0.45)  # of RGB in 0..1
    std: tuple[float, float, float] = (0.225, 0.225, 0.225)
    flow_scale: float = 2.0  # frame heights per second that become 1.0 in the flow tensor
    depth_range: tuple[float, float] = (0.5, 4.5)  # m: nearest and farthest depth that is shown
    framing: FramingName = "crop"  # what of an image is seen
    brighten: bool = False  # show dark images (not depth) brighter
    flow: FlowName = "dis"  # what estimated the flow
    selection: SelectionName = "flow_guided"  # what selected the frames

    def __post_init__(self) -> None:
        wrong = []
        if self.frames < 1:
            wrong.append(f"frames must be at least 1, not {self.frames}")
        if self.size < 16:
            wrong.append(f"size must be at least 16 px, not {self.size}")
        if not self.rate > 0:
            wrong.append(f"rate must be positive, not {self.rate}")
        if self.window < self.frames:
            wrong.append(f"window ({self.window}) must hold at least the clip's {self.frames} frames")
        if not (len(self.mean) == len(self.std) == 3 and min(self.std) > 0):
            wrong.append(f"mean and std need three values, std positive: {self.mean}, {self.std}")
        if not self.flow_scale > 0:
            wrong.append(f"flow_scale must be positive, not {self.flow_scale}")
        if not 0 <= self.depth_range[0] < self.depth_range[1]:
            wrong.append(f"depth_range must be (near, far) with 0 <= near < far, not {self.depth_range}")
        for name, known in (("flow", FlowName), ("selection", SelectionName), ("framing", FramingName)):
            if getattr(self, name) not in get_args(known):
                wrong.append(f"{name} must be one of {', '.join(get_args(known))}, not {getattr(self, name)!r}")
        if wrong:
            raise ConfigError("; ".join(wrong))

    @property
    def period(self) -> int:
        """Nanoseconds between two admitted frames."""
        return round(SECOND / self.rate)


class State(IntEnum):
    """What a recognition says; the values are those of Recognition.msg."""

    WARMING_UP = 0  # too few frames since the start or the last reset: nothing can be said yet
    IDLE = 1  # no motion worth naming
    UNKNOWN = 2  # motion, but none of the known actions
    ACTION = 3  # a known action: see label and score


class EventKind(IntEnum):
    """What happened to one action instance; the values are those of ActionEvent.msg."""

    STARTED = 0  # the action began and its label is believed
    UPDATED = 1  # the label changed as more of the action was seen
    ENDED = 2  # the action is over
    RETRACTED = 3  # the label is withdrawn: the motion is no known action after all, or its score stayed too low


@dataclass(frozen=True)
class ActionScore:
    label: str
    score: float  # calibrated probability, 0..1


@dataclass(frozen=True)
class Recognition:
    """What the recogniser says of one window; every field is described in msg/Recognition.msg."""

    stamp: int  # ns: of the newest frame
    window_start: int  # ns: of the first frame looked at
    window_end: int  # ns: of the last frame looked at
    state: State
    label: str = ""  # set in ACTION
    score: float = 0.0  # of the label, 0..1; 0 unless in ACTION
    scores: tuple[ActionScore, ...] = ()  # best first
    unknown_score: float = 0.0  # 0 (surely a known action) .. 1 (surely none)
    motion: float = 0.0  # frame heights per second, of the fastest pixels lately
    frames_in_window: int = 0
    person_id: str = ""  # empty: the whole scene


@dataclass(frozen=True)
class ActionEvent:
    """A change of one action instance; every field is described in msg/ActionEvent.msg."""

    stamp: int  # ns: of the frame at which this was decided
    kind: EventKind
    label: str
    instance: int  # counts up from 1; the same in all events of one action
    start: int  # ns: when the action itself began
    end: int = 0  # ns: when the motion itself ended; 0 until ENDED or RETRACTED
    score: float = 0.0  # peak so far, 0..1
    person_id: str = ""


@dataclass(frozen=True)
class Update:
    """What one pushed frame led to: often nothing at all."""

    recognition: Recognition | None = None
    events: tuple[ActionEvent, ...] = field(default=())
