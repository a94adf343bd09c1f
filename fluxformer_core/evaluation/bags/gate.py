"""Compare an evaluation with an earlier one (the baseline)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fluxformer_core.errors import ConfigError
from fluxformer_core.evaluation.report.json_document import FORMAT, KIND

SHARES = {
    "detection_rate": "detection rate",
    "mean_jaccard": "mean Jaccard",
    "map": "mAP",
    "mcap": "mcAP",
    "edit": "edit score",
    "f1_10": "F1@10",
    "f1_25": "F1@25",
    "f1_50": "F1@50",
    "clip_top1": "clip top-1",
    "clip_top5": "clip top-5",
}
"""Shares that must not fall, compared in percentage points."""

COSTS = {
    "false_per_minute": ("false events per minute", ""),
    "withdrawn_per_minute": ("withdrawn names per minute", ""),
    "onset_delay_p50": ("onset delay, median", " s"),
    "onset_delay_p90": ("onset delay, p90", " s"),
}
"""Figures that must not rise, compared in percent of the baseline; with their units."""

_ROUNDING = 1e-9


@dataclass(frozen=True)
class GateResult:
    """The comparison with the baseline."""

    worse: tuple[str, ...]  # figures that are worse by more than is allowed; empty: passed
    where: tuple[str, ...]  # labels and bags that are detected less often

    @property
    def passed(self) -> bool:
        return not self.worse


def read_baseline(path: Path) -> dict[str, Any]:
    """Read the JSON document of an earlier evaluation.

    Raises:
        ConfigError: if it cannot be read, is another document, or has no figures.
    """
    try:
        old = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"cannot read the baseline {path}: {error}") from None
    if not isinstance(old, dict) or old.get("kind") != KIND:
        raise ConfigError(f"{path} is not an evaluation of bags; write one with `fluxformer evaluate BAG --json FILE`")
    if old.get("format") != FORMAT or not old.get("figures"):
        raise ConfigError(f"{path} has format {old.get('format')} or no figures; write it again with this version")
    return old


def compare(old: dict[str, Any], new: dict[str, Any], max_drop: float) -> GateResult:
    """Compare two documents of the same bags and the same truth.

    `max_drop` is the allowed loss: percentage points for shares, percent for other figures.

    Raises:
        ConfigError: if bags or truth differ from those of the baseline.
    """
    _check_same(old, new)
    lost = sorted(_truth(old).keys() - _truth(new).keys())
    worse = [f"{' '.join(stream)}: it no longer has figures" for stream in lost]
    before, now = old["figures"], new["figures"] or {}
    for name, title in SHARES.items():
        a, b = before.get(name), now.get(name)
        if a is not None and (b is None or 100 * (a - b) > max_drop + _ROUNDING):
            change = "is no longer defined" if b is None else f"{b:.1%}, {100 * (a - b):.1f} points less"
            worse.append(f"{title}: was {a:.1%}, {change}")
    for name, (title, unit) in COSTS.items():
        a, b = before.get(name), now.get(name)
        if a is not None and b is not None and b - a > abs(a) * max_drop / 100 + _ROUNDING:
            worse.append(f"{title}: was {a:.2f}{unit}, {b:.2f}{unit}")
    return GateResult(tuple(worse), tuple(_where(old, new)) if worse else ())


def _check_same(old: dict[str, Any], new: dict[str, Any]) -> None:
    """Refuse other bags or another truth; a bag of the baseline that fails now is a loss, not an error."""
    before, now = _truth(old), _truth(new)
    missing = sorted({s["bag"] for s in old["streams"]} - {entry["bag"] for entry in (*new["streams"], *new["faults"])})
    extra = sorted(" ".join(key) for key in now.keys() - before.keys())
    if missing or extra:
        what = f"only the baseline has {', '.join(missing)}" if missing else f"it lacks {', '.join(extra)}"
        raise ConfigError(f"the baseline has other bags: {what}")
    changed = sorted(" ".join(key) for key in before.keys() & now.keys() if before[key] != now[key])
    if changed:
        raise ConfigError(f"the truth about {', '.join(changed)} differs from the baseline's: write a new baseline")


def _truth(document: dict[str, Any]) -> dict[tuple[str, str], list[Any]]:
    """The truth of every stream with figures, by bag and topic."""
    return {
        (stream["bag"], stream["topic"]): [track["truth"] for track in stream["timeline"]]
        for stream in document["streams"]
        if stream["figures"]
    }


def _where(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    found = []
    before = {entry["label"]: entry for entry in old["by_label"]}
    for entry in new["by_label"]:
        a = before.get(entry["label"])
        if a is None or entry["detected"] < a["detected"] or entry["false"] > a["false"]:
            was = f"{a['detected']} of {a['performed']} with {a['false']} false" if a else "not named"
            now = f"detected {entry['detected']} of {entry['performed']} with {entry['false']} false"
            found.append(f"{entry['label']}: was {was}, {now}")
    streams = {(s["bag"], s["topic"]): s["figures"] for s in old["streams"]}
    for stream in new["streams"]:
        a, b = streams.get((stream["bag"], stream["topic"])), stream["figures"]
        if a and b and (b["detection_rate"] or 0) < (a["detection_rate"] or 0):
            rates = f"{a['detection_rate']:.1%}, {b['detection_rate']:.1%}"
            found.append(f"{stream['bag']} {stream['topic']}: detection rate was {rates}")
    return found
