"""Whether a live run gave the same recognitions as an offline run over the same images."""

from __future__ import annotations

from dataclasses import dataclass

from fluxformer_core.evaluation.bags.stream_result import StreamResult
from fluxformer_core.types import SECOND, State

ENOUGH = 0.98
"""Smallest share of agreeing windows at which two runs count as the same."""

Said = tuple[int, str]  # state, and label


@dataclass(frozen=True)
class RunAgreement:
    """Two runs over the same images, compared by stamps."""

    windows: int  # in either run
    same: int  # windows with the same state and label at the same stamp
    differences: tuple[tuple[int, Said | None, Said | None], ...]  # stamp (ns), live, offline; None: no such window

    @property
    def share(self) -> float:
        """Share of the windows that agree, 0..1."""
        return self.same / self.windows if self.windows else 0.0

    @property
    def enough(self) -> bool:
        """Whether the runs count as the same."""
        return self.share >= ENOUGH


def compare_runs(live: StreamResult, offline: StreamResult) -> RunAgreement:
    """Compare the recognitions of two runs; a window that only one run has counts as a difference."""
    a, b = _said(live), _said(offline)
    keys = sorted(a.keys() | b.keys())
    differences = [(key[1], a.get(key), b.get(key)) for key in keys if a.get(key) != b.get(key)]
    return RunAgreement(len(keys), len(keys) - len(differences), tuple(differences))


def describe(agreement: RunAgreement, origin: int, most: int = 10) -> str:
    """The comparison as text with at most `most` differences; seconds count from the stamp `origin` in ns."""
    lines = [
        f"{(stamp - origin) / SECOND:9.3f} s  live {_name(live):<24} offline {_name(offline)}"
        for stamp, live, offline in agreement.differences[:most]
    ]
    if len(agreement.differences) > most:
        lines.append(f"and {len(agreement.differences) - most} more")
    only_live, only_offline = (sum(one[missing] is None for one in agreement.differences) for missing in (2, 1))
    lines.append(
        f"{agreement.same} of {agreement.windows} windows agree in stamp, state and label ({agreement.share:.2%}); "
        f"{only_live} only live, {only_offline} only offline"
    )
    return "\n".join(lines)


def _said(result: StreamResult) -> dict[tuple[int, int], Said]:
    names = (*result.labels, "")  # index -1 stands for no label
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
