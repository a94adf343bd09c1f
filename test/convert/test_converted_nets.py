"""A converted net recognises a stream as it is."""

from __future__ import annotations

import pytest
import torch
from public_layouts import slowfast_state
from test_convert import run

from fluxformer_core.actor import Performance, Stage
from fluxformer_core.bundle import Bundle
from fluxformer_core.stream.recognizer import Recognizer
from fluxformer_core.types import SECOND, Pixels, State


@pytest.mark.slow
def test_a_converted_kinetics_net_recognises_a_stream_as_it_is(tmp_path):
    path = tmp_path / "MViTv2_S_16x4_k400_f302660347.pyth"
    torch.save({"model_state": slowfast_state("S", frames=16, size=224, dtype=torch.float16)}, path)
    assert run(path, "--out", tmp_path / "kinetics.safetensors") == 0
    bundle = Bundle.load(tmp_path / "kinetics.safetensors")
    assert (bundle.spec.frames, bundle.spec.size) == (16, 224)
    recognizer = Recognizer(bundle)
    stage = Stage([Performance("wave", 1.0, 4.0)], rate=7.5, size=(240, 320))
    for index in range(len(stage)):
        update = recognizer.push(stage.frame(index), index * SECOND * 2 // 15, Pixels.RGB)
        if recognizer.counters.forwards:
            break
    recognition = update.recognition
    assert recognition is not None
    assert recognition.state in (State.UNKNOWN, State.ACTION)
    assert len(recognition.scores) == 5
    assert {score.label for score in recognition.scores} <= set(bundle.labels)
    assert recognizer.scene.last_clip is not None
    assert recognizer.scene.last_clip.frames.shape == (16, 224, 224, 3)
