"""Engines of TensorRT, built here: every model and precision, compared, saved, loaded by another process, timed."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from fluxformer_core.backends.base import DTYPES
from fluxformer_core.backends.parity import TOLERANCE
from fluxformer_core.backends.tensorrt import TensorRtBackend
from fluxformer_core.bundle import Bundle
from fluxformer_core.evaluation.speed.forwards import random_bundle
from fluxformer_core.models.registry import list_models
from fluxformer_core.stream.load import open_model, trial_clips

pytestmark = [pytest.mark.tensorrt, pytest.mark.slow]

FRESH = """
import json, sys, torch
from pathlib import Path
from fluxformer_core.bundle import Bundle
from fluxformer_core.stream.load import open_model
from fluxformer_core.stream.load import trial_clips

bundle, cache, precision, batch = Bundle.load(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], int(sys.argv[4])
said = []
model = open_model(bundle, "tensorrt", precision, batch=batch, cache=cache, progress=said.append)
clip = trial_clips(bundle.spec, flow=bundle.metadata.config.takes_flow)[0]
print(json.dumps({"said": said, "logits": model.net(*clip)[0][0].tolist()}))
"""


@pytest.mark.parametrize("batch", [1, 4], ids=["static", "dynamic"])
@pytest.mark.parametrize("precision", list(DTYPES))
@pytest.mark.parametrize("name", list_models())
def test_an_engine_is_built_compared_saved_loaded_and_timed(name, precision, batch, tmp_path):
    if reason := TensorRtBackend().probe(precision):
        pytest.skip(reason)
    path = tmp_path / f"{name}.safetensors"
    random_bundle(name).save(path)
    bundle, said = Bundle.load(path), []
    model = open_model(bundle, "tensorrt", precision, batch=batch, cache=tmp_path, progress=said.append)  # compares
    assert any(text.startswith("building") for text in said)
    clip = trial_clips(bundle.spec, flow=bundle.metadata.config.takes_flow)[0]
    here = model.net(*clip)[0][0]
    command = [sys.executable, "-c", FRESH, path, tmp_path, precision, str(batch)]
    there = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[-1])
    assert there["said"] == []  # nothing was built
    scale = (here - here.mean()).norm()
    assert (torch.tensor(there["logits"]) - here).norm() <= TOLERANCE[precision] * scale
    taken = []
    for _ in range(20):
        begin = time.perf_counter()
        model.net(*clip)
        taken.append(time.perf_counter() - begin)
    print(f"{name} {precision} batch {batch}: {1e3 * min(taken):.2f} ms on {model.net.device}")


def test_another_gpu_or_version_is_another_key(tmp_path: Path):
    backend = TensorRtBackend()
    if reason := backend.probe("fp32"):
        pytest.skip(reason)
    assert {"tensorrt", "torch_tensorrt", "cuda", "device", "capability"} <= backend.identity().keys()
