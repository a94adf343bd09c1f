"""Flow estimators: one protocol, known motion found, weights of GMFlow from files, and streams with each of them."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from gmflow_weights import random_weights
from helpers import rgb, small_bundle, texture, view
from safetensors.torch import save_file
from torch import Tensor

from benchmarks.flow_error import true_flow
from fluxformer_core.actor import ActorStyle, rehearse
from fluxformer_core.bundle import Bundle
from fluxformer_core.cli import BAD_INPUT, main
from fluxformer_core.errors import BundleError, ConfigError
from fluxformer_core.flow.classical import FlowEstimator, normal_speed
from fluxformer_core.flow.gmflow import SHORTEST_SIDE, GMFlowEstimator
from fluxformer_core.flow.registry import create_flow, list_flows
from fluxformer_core.models.gmflow import GMFlow, GMFlowConfig
from fluxformer_core.stream.buffer import RollingBuffer, Window
from fluxformer_core.stream.clip import build_clip, encode_flow
from fluxformer_core.stream.recognizer import Recognizer
from fluxformer_core.types import SECOND, ClipSpec

LAYERS = 2


@pytest.fixture(scope="module")
def weights() -> dict[str, Tensor]:
    return random_weights(LAYERS)


@pytest.fixture(scope="module")
def estimators(weights) -> dict[str, FlowEstimator]:
    classical = {name: create_flow(name) for name in ("dis", "farneback")}
    return {**classical, "gmflow": GMFlowEstimator(weights)}  # type: ignore[dict-item]


@pytest.mark.parametrize("name", ["dis", "farneback", "gmflow"])
@pytest.mark.parametrize("shape", [(64, 64), (50, 70)])
def test_every_estimator_keeps_to_the_protocol(estimators, name, shape):
    estimate = estimators[name]
    assert estimate.name == name
    images = [np.ascontiguousarray(texture(*shape, seed=seed)) for seed in (0, 1)]
    if estimate.colour:
        images = [rgb(image) for image in images]
    copies = [image.copy() for image in images]
    flow = estimate(*images)
    assert (flow.shape, flow.dtype) == ((*shape, 2), np.float32)
    assert np.isfinite(flow).all()
    assert all(np.array_equal(image, copy) for image, copy in zip(images, copies, strict=True))
    assert np.array_equal(flow, estimate(*images))


@pytest.mark.parametrize("name", ["dis", "farneback"])
@pytest.mark.parametrize(("right", "down"), [(2.5, -1.25), (-0.5, 0.75), (0.0, 4.0)])
def test_a_known_translation_is_found(estimators, name, right, down):
    picture = texture(96, 96)
    flow = estimators[name](view(picture, 0, 0, 64), view(picture, right, down, 64))
    inside = flow[8:-8, 8:-8].reshape(-1, 2)
    np.testing.assert_allclose(np.median(inside, axis=0), (right, down), atol=0.1)
    assert np.linalg.norm(inside - (right, down), axis=1).mean() < 0.25


def test_gmflow_enlarges_small_images_and_gives_their_own_pixels(weights):
    first, second = (rgb(texture(64, 96, seed=seed)) for seed in (0, 1))
    height, width = SHORTEST_SIDE, SHORTEST_SIDE * 3 // 2
    net = GMFlow(GMFlowConfig(height, width, LAYERS)).eval()
    net.load_state_dict(weights)
    large = [cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR) for image in (first, second)]
    with torch.no_grad():
        field = net(*(torch.from_numpy(image).permute(2, 0, 1)[None].float() for image in large))[0]
    expected = field.mean(dim=(1, 2)).numpy() * (96 / width, 64 / height)
    flow = GMFlowEstimator(weights)(first, second)
    np.testing.assert_allclose(flow.mean(axis=(0, 1)), expected, rtol=1e-3)
    grey = texture(64, 96)
    assert np.array_equal(GMFlowEstimator(weights)(grey, grey), GMFlowEstimator(weights)(rgb(grey), rgb(grey)))


def test_gmflow_loads_its_net_once_for_each_size_of_images(weights, tmp_path):
    path, made = tmp_path / "net.pth", []
    torch.save(weights, path)

    def run(net: GMFlow, digest: str, shape: tuple[int, ...]) -> Callable[..., tuple[torch.Tensor]]:
        made.append((len(digest), shape))
        return lambda first, second: (torch.ones_like(first[:, :2]),)

    estimate = create_flow(f"gmflow:{path}", run=run)
    for size in (112, 112, 224, 448):
        image = rgb(texture(size, size))
        flow = estimate(image, image)
        assert flow.shape == (size, size, 2)
        np.testing.assert_allclose(flow, min(size / SHORTEST_SIDE, 1.0))
    assert made == [(12, (1, 3, 224, 224)), (12, (1, 3, 448, 448))]


@pytest.mark.parametrize("form", ["training", "bare", "half", "safetensors"])
def test_weights_are_read_in_every_published_form(weights, form, tmp_path):
    path = tmp_path / ("net.safetensors" if form == "safetensors" else "net.pth")
    if form == "safetensors":
        save_file(weights, path)
    elif form == "training":
        torch.save({"model": weights, "optimizer": {"state": {}}, "step": 3, "epoch": 1}, path)
    else:
        torch.save({name: value.half() for name, value in weights.items()} if form == "half" else weights, path)
    estimate = create_flow(f"gmflow:{path}")
    assert isinstance(estimate, GMFlowEstimator)
    assert estimate.layers == LAYERS
    images = [rgb(texture(64, 64, seed=seed)) for seed in (0, 1)]
    tolerance = 2.0 if form == "half" else 0.0
    np.testing.assert_allclose(estimate(*images), GMFlowEstimator(weights)(*images), atol=tolerance)


class Trap:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("false",)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"feature_flow_attn.k_proj.bias": None}, "missing feature_flow_attn.k_proj.bias"),
        ({"head.weight": torch.ones(1)}, "unexpected head.weight"),
        ({"upsampler.2.weight": torch.ones(144, 256, 1, 1)}, r"upsampler.2.weight has shape \(144, 256, 1, 1\)"),
        ({"backbone.conv2.bias": torch.full((128,), torch.nan)}, "backbone.conv2.bias has values that are not finite"),
        ({"backbone.trident_conv.weight": torch.ones(128, 128, 3, 3)}, "only scale 1"),
        ({"refine_proj.weight": torch.ones(1)}, "only scale 1"),
        ({"transformer.layers.7.norm.weight": torch.ones(1)}, "missing transformer.layers.2"),
        ({"optimizer": {}}, "no named weights"),
        ({"backbone.conv1.weight": Trap()}, "asks for .*system to be run"),
    ],
)
def test_other_weights_are_refused_with_the_key_that_is_wrong(weights, change, error, tmp_path):
    path = tmp_path / "net.pth"
    torch.save({name: value for name, value in (weights | change).items() if value is not None}, path)
    with pytest.raises(BundleError, match=error) as caught:
        create_flow(f"gmflow:{path}")
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("name", ["nowhere.pth", "nowhere.safetensors"])
def test_a_file_that_is_not_there_or_no_file_of_weights_is_named(name, tmp_path):
    path = tmp_path / name
    with pytest.raises(BundleError, match=f"cannot read .*{name}"):
        create_flow(f"gmflow:{path}")
    path.write_bytes(b"\x10" * 40)
    with pytest.raises(BundleError, match=f"{name}.* damaged"):
        create_flow(f"gmflow:{path}")


def test_wrong_names_of_estimators_are_refused():
    assert list_flows() == ["dis", "farneback", "gmflow", "none"]
    assert create_flow("none") is None
    with pytest.raises(ConfigError, match="no flow estimator 'raft'; known are dis, farneback, gmflow, none"):
        create_flow("raft")
    with pytest.raises(ConfigError, match="gmflow needs its weights: use gmflow:FILE"):
        create_flow("gmflow")
    with pytest.raises(ConfigError, match="dis takes no file"):
        create_flow("dis:net.pth")
    with pytest.raises(ConfigError, match="flow must be"):
        ClipSpec(flow="raft")  # type: ignore[arg-type]


def window_of(pictures: list[np.ndarray], flow: FlowEstimator | None, rate=20.0) -> tuple[RollingBuffer, Window]:
    buffer = RollingBuffer(ClipSpec(frames=2), flow)
    for i, picture in enumerate(pictures):
        buffer.push(rgb(picture), round(i * SECOND / rate))
    return buffer, buffer.window()


def sliding(step: float, count: int = 8) -> list[np.ndarray]:
    """A disc that moves to the right by so many pixels a frame."""
    row, column = np.mgrid[0:64, 0:64]
    far = [np.hypot(column - 16 - step * i, row - 32) - 8 for i in range(count)]
    return [(60 + 120 / (1 + np.exp(distance / 0.7))).astype(np.uint8) for distance in far]


@pytest.mark.parametrize("step", [0.4, 1.0, 2.0, 4.0])
def test_without_an_estimator_motion_keeps_its_unit(step):
    buffer, window = window_of(sliding(step), None)
    assert buffer.flows == 0
    assert not window.flow.any()
    assert window.motion[0] == 0
    truth = step * 20 / 64  # frame heights per second
    assert window.motion[1:].min() > 0.6 * truth
    assert window.motion[1:].max() < 1.3 * truth


def test_without_an_estimator_motion_does_not_depend_on_the_rate():
    fast, slow = window_of(sliding(1.0, 9), None, 20.0)[1], window_of(sliding(2.0, 5), None, 10.0)[1]
    np.testing.assert_allclose(fast.motion[1:].mean(), slow.motion[1:].mean(), rtol=0.15)


def test_without_an_estimator_noise_and_a_change_of_light_are_little_motion():
    rng, picture = np.random.default_rng(0), texture(64, 64).astype(float)
    noisy = [np.clip(picture + rng.normal(0, 2, picture.shape), 0, 255).astype(np.uint8) for _ in range(5)]
    assert window_of(noisy, None)[1].motion.max() < ClipSpec().size * 0.003
    assert not normal_speed(np.full((64, 64), 90, np.uint8), np.full((64, 64), 110, np.uint8)).any()


@pytest.mark.parametrize("name", ["dis", "farneback"])
def test_the_encoded_flow_is_a_velocity(estimators, name):
    spec, picture = ClipSpec(frames=2), texture(110, 110)
    for step, rate in ((1.5, 20.0), (3.0, 10.0)):
        _, window = window_of([view(picture, 0, 0, 64), view(picture, step, 0, 64)], estimators[name], rate)
        encoded = encode_flow(torch.from_numpy(window.flow), spec)
        u, v, speed = (float(channel[1].median()) for channel in encoded)
        assert u == pytest.approx(1.5 * 20 / 64 / spec.flow_scale, rel=0.05)
        assert v == pytest.approx(0.0, abs=0.01)
        assert speed == pytest.approx(u, rel=0.05)
        assert encoded.abs().max() <= 1.0


def frames_of_a_wave() -> list[np.ndarray]:
    film = rehearse("wave", 3, size=(64, 64), mode="colour")
    return [image for _, image in film]


def run(bundle: Bundle, frames: int = 512, **choice: str) -> Recognizer:
    recognizer = Recognizer(bundle, **choice)
    for i, image in enumerate(frames_of_a_wave()[:frames]):
        recognizer.push(image, i * SECOND // 20)
    return recognizer


@pytest.mark.parametrize("flow", ["dis", "farneback", "none"])
def test_a_stream_estimates_flow_once_per_frame_or_never(flow):
    recognizer = run(small_bundle(), flow=flow)
    assert recognizer.counters.admitted > 40
    assert recognizer.counters.flows == (0 if flow == "none" else recognizer.counters.admitted - 1)
    assert recognizer.counters.forwards > 0


def test_a_stream_runs_on_gmflow_too(weights, tmp_path):
    path = tmp_path / "net.pth"
    torch.save(weights, path)
    recognizer = run(small_bundle(), frames=5, flow=f"gmflow:{path}")
    assert (recognizer.counters.admitted, recognizer.counters.flows) == (5, 4)
    assert recognizer.scene.window.flow[1:].any(axis=(1, 2, 3)).all()


def test_without_an_estimator_the_model_gets_no_flow():
    bundle = small_bundle()
    recognizer = run(bundle, flow="none")
    seen = recognizer.scene.last_clip
    assert seen is not None
    colour, flow = build_clip(seen.frames, None, bundle.spec)
    assert flow is None
    with torch.inference_mode():
        expected = bundle.build_model()(colour).logits[0].numpy()
        still = bundle.build_model()(colour, torch.zeros_like(colour)).logits[0].numpy()
    output = recognizer.scene.last_output
    assert output is not None
    np.testing.assert_allclose(output.logits, expected, atol=1e-5)
    assert np.abs(expected - still).max() > 1e-4  # no flow is something else than no motion


def test_the_bundle_names_its_estimator_and_another_may_be_chosen(tmp_path):
    bundle = small_bundle(flow="none")
    path = tmp_path / "net.safetensors"
    bundle.save(path)
    assert Bundle.load(path).spec.flow == "none"
    assert run(Bundle.load(path)).counters.flows == 0
    assert run(bundle, flow="dis").counters.flows > 0
    trained_on_gmflow = replace(bundle, metadata=replace(bundle.metadata, spec=replace(bundle.spec, flow="gmflow")))
    with pytest.raises(ConfigError, match="gmflow:FILE"):
        Recognizer(trained_on_gmflow)


def test_bundles_from_before_the_choice_were_trained_with_dis(tmp_path):
    path = tmp_path / "old.safetensors"
    small_bundle().save(path)
    data = path.read_bytes()
    entry = b', \\"flow\\": \\"dis\\"'
    assert entry in data
    length = int.from_bytes(data[:8], "little") - len(entry)
    path.write_bytes(length.to_bytes(8, "little") + data[8:].replace(entry, b"", 1))
    assert Bundle.load(path).spec == small_bundle().spec


@pytest.mark.parametrize("mirrored", [False, True])
def test_the_actors_true_flow_leads_to_the_same_place_on_the_next_image(mirrored):
    style = replace(ActorStyle.sample_recording(3), noise=0.0, stripes=7.0, mirrored=mirrored)
    film = rehearse("wave", 3, mode="colour", style=style)
    row, column = np.mgrid[0:128, 0:128].astype(np.float32)
    found, resting = [], []
    for index in range(5, len(film) - 1, 9):
        flow = true_flow(film, index)
        now, then = (film.frame(i).astype(np.float32) for i in (index, index + 1))
        moving = np.hypot(*np.moveaxis(flow, -1, 0)) > 1
        led = cv2.remap(then, column + flow[..., 0], row + flow[..., 1], cv2.INTER_LINEAR)
        found.append(np.abs(led - now)[moving])
        resting.append(np.abs(then - now)[moving])
    assert np.concatenate(found).mean() < 0.35 * np.concatenate(resting).mean()
    with pytest.raises(IndexError, match="no next one"):
        true_flow(film, len(film) - 1)


def test_the_command_line_passes_the_choice_on(tmp_path, capsys):
    model, images = tmp_path / "net.safetensors", tmp_path / "images"
    small_bundle().save(model)
    images.mkdir()
    for i, image in enumerate(frames_of_a_wave()[:30]):
        cv2.imwrite(str(images / f"{i:03}.png"), cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    motions = {}
    command = ["recognize", str(images), "--model", str(model)]
    for flow in ("dis", "none"):
        assert main([*command, "--rate", "20", "--flow", flow, "--json", "-"]) == 0
        lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        motions[flow] = [line["motion"] for line in lines if line["type"] == "recognition"]
    assert motions["dis"] == motions["none"], "rest and motion are told without optical flow"
    assert len(motions["dis"]) > 5
    assert main([*command, "--flow", "gmflow"]) == BAD_INPUT
    assert "gmflow:FILE" in capsys.readouterr().err
