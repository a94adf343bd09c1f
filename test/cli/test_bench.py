"""The commands that measure: every figure is there, and stands beside its bound. None is asserted."""

from __future__ import annotations

import json
import math

import numpy as np
from helpers import saved_bundle

from fluxformer_core.cli import main
from fluxformer_core.evaluation.speed.forwards import random_bundle
from fluxformer_core.evaluation.speed.machine import Timing
from fluxformer_core.models.fluxformer.fluxformer import Fluxformer


def test_every_figure_is_printed_and_written(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("FLUXFORMER_CACHE", str(tmp_path / "cache"))
    model, out = saved_bundle(tmp_path), tmp_path / "speed.json"
    arguments = ["bench", "--models", str(model), "--backends", "torch", "tensorrt", "--rounds", "1"]
    assert main([*arguments, "--json", str(out)]) == 0
    written = json.loads(out.read_text())
    assert set(written) == {"machine", "limits", "stages", "forwards"}
    assert written["limits"]["product"]["fp32"] > 1e9
    product, fastest = written["limits"]["product"], written["limits"]["fastest"]
    assert set(product) == set(fastest) == {"fp32", "fp16", "bf16"}
    assert all(fastest[precision] >= max(product[precision], fastest["fp32"]) for precision in product)
    assert written["limits"]["bandwidth"] > 1e8
    torch, tensorrt = written["forwards"]
    assert (torch["away"], torch["agreement"]) == (0.0, 1.0)
    assert min(torch["multiply_adds"], torch["share"]) > 0
    assert math.isfinite(torch["products"])
    assert "cannot be used in fp32" in tensorrt["reason"] or tensorrt["seconds"]
    assert {stage["stage"] for stage in written["stages"]} == {"conversion", "flow", "buffer", "selection", "clip"}
    assert all(0 < stage["seconds"]["best"] <= stage["seconds"]["middle"] for stage in written["stages"])
    printed = capsys.readouterr().out
    assert "matrix product in bf16" in printed
    assert "depth 1280x720" in printed


def test_bad_numbers_are_refused(capsys):
    assert main(["bench", "--rounds", "0"]) == 2
    assert main(["bench", "--json", "no/such/folder.json"]) == 2
    assert main(["bench", "--models", "no_such_model"]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 3


def test_a_model_by_name_has_open_gates_and_the_same_weights_each_time():
    one, other = (random_bundle("fluxformer_nano") for _ in range(2))
    assert all(np.array_equal(one.weights[name], other.weights[name]) for name in one.weights)
    net = one.build_model()
    assert isinstance(net, Fluxformer)
    assert net.blocks[0].gamma.std() > 0.5


def test_a_timing_has_its_best_and_its_median():
    assert Timing.of([3.0, 1.0, 2.0]) == Timing(1.0, 2.0, 3)
