"""Whether a live run said what the same recogniser says offline, window by window."""

from __future__ import annotations

from dataclasses import dataclass

from fluxformer_core.evaluation.bags.stream_result import StreamResult
from fluxformer_core.types import SECOND, State

ENOUGH = 0.98
"""Share of the windows that must agree."""

Said = tuple[int, str]  # state, and label


@dataclass(frozen=True)
class Difference:
    """A window about which the two do not agree; None: there is none with this stamp."""

    stamp: int  # ns
    live: Said | None
    offline: Said | None


@dataclass(frozen=True)
class Agreement:
    """Two runs over the same images, compared by stamps."""

    windows: int  # that either of them has
    same: int  # with the same state and the same label at the same stamp
    differences: tuple[Difference, ...]

    @property
    def share(self) -> float:
        """Share of the windows that agree, 0..1."""
        return self.same / self.windows if self.windows else 0.0

    @property
    def enough(self) -> bool:
        """Whether the runs count as the same."""
        return self.share >= ENOUGH


def compare_runs(live: StreamResult, offline: StreamResult) -> Agreement:
    """Compare what was said pass by pass; a window that only one of the two has counts as a difference."""
    a, b = _said(live), _said(offline)
    keys = sorted(a.keys() | b.keys())
    differences = [Difference(key[1], a.get(key), b.get(key)) for key in keys if a.get(key) != b.get(key)]
    return Agreement(len(keys), len(keys) - len(differences), tuple(differences))


def describe(agreement: Agreement, origin: int, most: int = 10) -> str:
    """The comparison, for people.

    Args:
        agreement: to tell.
        origin: ns: stamp that seconds count from.
        most: differences to list.
    """
    lines = [
        f"{(one.stamp - origin) / SECOND:9.3f} s  live {_name(one.live):<24} offline {_name(one.offline)}"
        for one in agreement.differences[:most]
    ]
    if len(agreement.differences) > most:
        lines.append(f"and {len(agreement.differences) - most} more")
    alone = [sum(getattr(one, other) is None for one in agreement.differences) for other in ("offline", "live")]
    lines.append(
        f"{agreement.same} of {agreement.windows} windows agree in stamp, state and label ({agreement.share:.2%}); "
        f"{alone[0]} only live, {alone[1]} only offline"
    )
    return "\n".join(lines)


def _said(result: StreamResult) -> dict[tuple[int, int], Said]:
    names = (*result.labels, "")  # -1, no name, is the last one
    return {
        (number, int(stamp)): (int(state), names[name])
        for number, track in enumerate(result.tracks)
        for stamp, state, name in zip(track.stamps, track.states, track.names, strict=True)
    }


def _name(said: Said | None) -> str:
    if said is None:
        return "nothing"
    state, label = said
    return f"{State(state).name}{f' {label}' if label else ''}"
