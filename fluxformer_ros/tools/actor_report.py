"""Compares the events that were heard with the actions that the rendered actor performed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fluxformer_core.actor import Performance
from fluxformer_core.types import SECOND, ActionEvent
from fluxformer_ros.tools.graph import Run


@dataclass(frozen=True)
class Answer:
    """How one performance was recognised; errors in seconds, positive when the event is late."""

    performance: Performance
    named: bool
    start_error: float = 0.0
    end_error: float = 0.0
    instead: tuple[str, ...] = ()  # other labels reported during the performance


def compare(script: Sequence[Performance], run: Run) -> tuple[list[Answer], list[ActionEvent]]:
    """One answer for every performance (s of the player's time), and the events whose label was not performed then."""
    stamps, dues = (np.array([getattr(frame, name) for frame in run.frames]) for name in ("stamp", "due"))

    def seconds(stamp: int) -> float:
        return float(np.interp(stamp, stamps, dues)) / SECOND

    events = run.transcript.ended
    spans = {event.instance: (seconds(event.start), seconds(event.end)) for event in events}
    answers: list[Answer] = []
    right: set[int] = set()
    for performance in script:
        begin, end = performance.start, performance.end
        during = [e for e in events if min(spans[e.instance][1], end) > max(spans[e.instance][0], begin)]
        same = [event for event in during if event.label == performance.label]
        right.update(event.instance for event in same)
        others = tuple(event.label for event in during if event.label != performance.label)
        errors = (spans[same[0].instance][0] - begin, spans[same[-1].instance][1] - end) if same else (0.0, 0.0)
        answers.append(Answer(performance, bool(same), *errors, others))
    return answers, [event for event in events if event.instance not in right]


def table(answers: Sequence[Answer], wrong: Sequence[ActionEvent]) -> str:
    """The comparison as text."""
    lines = ["performed             from     to   named    start     end   also said"]
    for answer in answers:
        performance = answer.performance
        errors = f"{answer.start_error:+7.2f} {answer.end_error:+7.2f}" if answer.named else f"{'':15}"
        lines.append(
            f"{performance.label:<18} {performance.start:7.1f} {performance.end:6.1f}   "
            f"{'yes' if answer.named else 'NO':<5} {errors}   {', '.join(answer.instead)}".rstrip()
        )
    named = sum(answer.named for answer in answers)
    lines.append(f"{named} of {len(answers)} performances named; {len(wrong)} events name what was not performed then")
    return "\n".join(lines)
