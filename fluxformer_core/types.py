"""The vocabulary that every other module shares: what an image is, what a clip is, what was recognised.

Stamps are integer nanoseconds of the camera's clock everywhere in this library; they are never the wall clock's.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum, IntEnum
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Lt

from fluxformer_core.declared import check

SECOND = 1_000_000_000
"""Nanoseconds in a second."""

OTHER = "other"
"""Reserved label for what is no action: idle time, people walking past, cut-up clips."""

FlowName = Literal["dis", "farneback", "gmflow", "none"]
"""Estimators of optical flow; see flow/registry.py."""

SelectionName = Literal["flow_guided", "uniform"]
"""Ways to select a clip's frames; see stream/selection.py."""

ViewName = Literal["scene", "person"]
"""What a model looks at: the square of the image that `FramingName` names, or each person, cut out on black."""

FramingName = Literal["crop", "whole"]
"""Which part of an image becomes the square that the model sees: the centre square, or the whole image, squeezed."""

Region = tuple[int, int, int, int]
"""Left, top, right and bottom in px, inside the image."""

Positive = Annotated[float, Gt(0)]


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

    frames: Annotated[int, Ge(1)] = 16  # T: frames, and flow fields, of a clip
    size: Annotated[int, Ge(16)] = 64  # px: height and width of the model's input
    rate: Annotated[float, Gt(0), Lt(math.inf)] = 20.0  # Hz: frames are admitted to the window at this rate, by stamp
    window: Annotated[int, Ge(1)] = 64  # admitted frames in the rolling window, from which T are selected
    mean: tuple[float, float, float] = (0.45, 0.45, 0.45)  # of RGB in 0..1
    std: tuple[Positive, Positive, Positive] = (0.225, 0.225, 0.225)
    flow_scale: Positive = 2.0  # frame heights per second that become 1.0 in the flow tensor
    depth_range: tuple[Annotated[float, Ge(0)], Positive] = (0.5, 4.5)  # m: nearest and farthest depth that is shown
    framing: FramingName = "crop"  # which part of an image is seen
    brighten: bool = False  # show dark images brighter, but not depth
    flow: FlowName = "dis"  # what estimated the flow
    selection: SelectionName = "flow_guided"  # what selected the frames
    view: ViewName = "scene"  # what is cut out of the image

    def __post_init__(self) -> None:
        wrong = []
        if self.window < self.frames:
            wrong.append(f"window ({self.window}) must hold at least the clip's {self.frames} frames")
        if not self.depth_range[0] < self.depth_range[1]:
            wrong.append(f"depth_range must be (near, far) with near < far, not {self.depth_range}")
        check(self, wrong)

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
    NOBODY = 4  # person view: nobody is found and nothing moves


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
    region: Region | None = None  # px of the image: around the person; None: the whole scene
    distance: float = math.nan  # m, of the person from a depth camera; NaN: unknown
    found_by: str = ""  # how the person was found, a value of FoundBy; empty: the whole scene


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
    region: Region | None = None  # px of the image: around the person; None: the whole scene
    distance: float = math.nan  # m, of the person from a depth camera; NaN: unknown
    direction: tuple[float, float, float] = (0.0, 0.0, 0.0)  # of a pointing arm, in the camera's frame; zero: unknown


@dataclass(frozen=True)
class Update:
    """What one pushed frame led to: often nothing at all."""

    recognitions: tuple[Recognition, ...] = ()  # one for each view for which a recognition was due
    events: tuple[ActionEvent, ...] = ()

    @property
    def recognition(self) -> Recognition | None:
        """The recognition, where the whole scene is the only view."""
        return self.recognitions[0] if self.recognitions else None
