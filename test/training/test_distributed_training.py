"""Two processes train one model together, each on clips of its own, and one of them writes it."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from helpers import saved_bundle

from fluxformer_core.bundle import Bundle
from fluxformer_core.training import loading
from fluxformer_core.training.loading import DistributedEvalSampler, WeightedEpochSampler


def test_processes_see_different_clips(monkeypatch):
    def seen(rank: int, world: int) -> tuple[list[int], list[int]]:
        monkeypatch.setattr(loading, "_rank_and_world", lambda: (rank, world))
        keys = WeightedEpochSampler(np.ones(21), 4, seed=1)
        return [clip for _, _, clip in keys], list(DistributedEvalSampler(7))

    alone = seen(0, 1)
    first, second = seen(0, 2), seen(1, 2)
    assert len(first[0]) == len(second[0]) == 8, "the same number of whole batches"
    assert sorted(first[0] + second[0]) == sorted(alone[0][:16])
    assert sorted(first[1] + second[1]) == alone[1] == list(range(7))


@pytest.mark.slow
def test_two_processes_train_together(index, tmp_path):
    start, out = saved_bundle(tmp_path), tmp_path / "out.safetensors"
    arguments = ["train", index, "--from", start, "--out", out, "--epochs", "3", "--batch", "4", "--workers", "0"]
    arguments += ["--cache", tmp_path / "cache", "--class-weights", "balanced", "--accelerator", "cpu"]
    arguments += ["--splits", "train", "--check-splits", "val"]
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    result = subprocess.run(
        [*torchrun, "-m", "fluxformer_core.cli", *map(str, arguments)], cwd=Path(__file__).parents[2],
        env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert result.stdout.count("wrote ") == 1
    provenance = Bundle.load(out).metadata.provenance
    assert provenance["checked_on"]["clips"] == 4
    (log,) = tmp_path.glob("out.run/logs/*/metrics.csv")
    with log.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert max(int(row["step"]) for row in rows) == 2, "12 clips are one step of two batches"
