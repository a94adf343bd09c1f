"""Torch-TensorRT's own partitioner takes every model whole. No engine is built: that needs a GPU."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from fluxformer_core.backends.base import DTYPES
from fluxformer_core.models.registry import list_models

CHANGED = ("video_focalnet_nano, causal", "emim_nano, next and padded", "fluxformer_nano, two of them")
SCRIPT = Path(__file__).parent / "trt" / "partition.py"
INTERPRETER = "FLUXFORMER_TRT_PYTHON"

pytestmark = pytest.mark.slow


def reports(case: str, precision: str) -> list[dict[str, Any]]:
    """What the check prints, from an interpreter and a process of its own: the stand-in for TensorRT stays there."""
    python = os.environ.get(INTERPRETER)
    if not python:
        pytest.skip(f"{INTERPRETER} names no Python with torch_tensorrt (see docs/measurements/parity.md)")
    probe = "import importlib.util, sys; sys.exit(importlib.util.find_spec('torch_tensorrt') is None)"
    if subprocess.run([python, "-c", probe], check=False).returncode:
        pytest.skip(f"{python}, named by {INTERPRETER}, has no torch_tensorrt")
    environment = {**os.environ, "PYTHONPATH": str(SCRIPT.parents[3])}
    ran = subprocess.run(
        [python, SCRIPT, case, "--precision", precision], env=environment, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    print(ran.stdout)
    lines = [json.loads(line) for line in ran.stdout.splitlines() if line.startswith("{")]
    assert [line["batch"] for line in lines] == ["static", "dynamic"]
    return lines


@pytest.mark.parametrize("precision", list(DTYPES))
@pytest.mark.parametrize("name", [*list_models(), *CHANGED, "gmflow"])
def test_every_net_becomes_one_engine(name, precision):
    for report in reports(name, precision):
        assert report["left_to_torch"] == []
        assert report["convertible"] == report["operators"] > 100
        assert report["engines"] == 1
        assert report["difference"] is None if precision != "fp32" else report["difference"] < 1e-5


@pytest.mark.parametrize("precision", list(DTYPES))
@pytest.mark.parametrize("control", ["max_pool_ceil", "baddbmm"])
def test_an_operator_without_converter_is_seen(control, precision):
    for report in reports(control, precision):
        assert report["convertible"] < report["operators"]
        assert report["left_to_torch"] != []
