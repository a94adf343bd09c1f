"""GMFlow: the published layout, matching, windows, sizes, export, and parity with an independent implementation."""

from __future__ import annotations

import pytest
import references
import torch
from gmflow_weights import published_layout, random_weights
from references import HEIGHT, WIDTH, pair

from fluxformer_core.errors import ConfigError
from fluxformer_core.models import gmflow
from fluxformer_core.models.gmflow import GMFlow, GMFlowConfig, cell_places, match, upsample_convex


def net(height: int = HEIGHT, width: int = WIDTH, layers: int = 6) -> GMFlow:
    built = GMFlow(GMFlowConfig(height, width, layers)).eval()
    built.load_state_dict(random_weights(layers))
    return built


@pytest.mark.parametrize(("layers", "millions"), [(6, 4.680), (4, 3.630)])
def test_names_and_shapes_are_the_published_ones(layers, millions):
    state = GMFlow(GMFlowConfig(layers=layers)).state_dict()
    assert {name: tuple(value.shape) for name, value in state.items()} == published_layout(layers)
    assert sum(value.numel() for value in state.values()) / 1e6 == pytest.approx(millions, abs=5e-4)


@torch.no_grad()
def test_flow_is_that_of_an_independent_implementation():
    ours = net()(*pair())
    for theirs in map(torch.from_numpy, references.outputs(references.gmflow_flow)):
        assert theirs.std() > 1.0  # px: there is something to compare
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-4)


def test_a_shifted_map_matches_at_exactly_that_displacement():
    height, width, right, down = 6, 9, 2, -1
    features = torch.randn(1, height, width, 32, generator=torch.Generator().manual_seed(1))
    features = 40 * features / features.norm(dim=-1, keepdim=True)
    moved = torch.roll(features, (down, right), dims=(1, 2))
    flow = match(features.flatten(1, 2), moved.flatten(1, 2), cell_places(height, width)).unflatten(1, (height, width))
    inside = flow[:, 1:, : width - right]  # what does not leave the map
    torch.testing.assert_close(inside, torch.tensor([float(right), float(down)]).expand_as(inside), rtol=0, atol=1e-3)


def test_equal_features_everywhere_match_the_middle():
    flow = match(torch.ones(1, 12, 8), torch.ones(1, 12, 8), cell_places(3, 4))
    torch.testing.assert_close(flow[0, 0], torch.tensor([1.5, 1.0]))
    torch.testing.assert_close(flow.mean(dim=1), torch.zeros(1, 2), atol=1e-6, rtol=0)


def test_upsampling_takes_the_cell_that_the_weights_name():
    flow, factor = torch.randn(2, 2, 3, 4, generator=torch.Generator().manual_seed(2)), 8
    for neighbour, shift in {4: (0, 0), 3: (0, 1), 1: (1, 0)}.items():  # itself, to the left, above
        weights = torch.zeros(2, 9, factor, factor, 3, 4)
        weights[:, neighbour] = 100.0
        fine = upsample_convex(flow, weights.flatten(1, 3), factor)
        coarse = torch.roll(flow, shift, dims=(2, 3))[:, :, 1:, 1:]
        expected = factor * coarse.repeat_interleave(factor, 2).repeat_interleave(factor, 3)
        torch.testing.assert_close(fine[:, :, factor:, factor:], expected)


def test_positions_tell_every_cell_of_a_window_apart():
    places = gmflow.sine_positions(7, 5).flatten(1).T
    apart = torch.cdist(places, places) + torch.eye(len(places)) * 9
    assert places.shape == (35, gmflow.CHANNELS)
    assert apart.min() > 0.1


@torch.no_grad()
def test_windows_come_back_to_where_they_were():
    transformer = gmflow.FeatureTransformer(6, 8, 1)
    x = torch.randn(2, 6, 8, gmflow.CHANNELS)
    for shifted in (False, True):
        assert torch.equal(transformer._join(transformer._split(x, shifted), shifted), x)


@pytest.mark.parametrize(("layers", "reach"), [(1, (0, 4, 0, 4)), (2, (0, 6, 0, 6))])
@torch.no_grad()
def test_a_cell_is_seen_within_its_window_and_never_across_the_border(layers, reach):
    """The first cell lies in the first window; shifting lets the second layer see on, but not around the edge."""
    torch.manual_seed(3)
    transformer = gmflow.FeatureTransformer(8, 8, layers).eval()
    maps = torch.randn(2, 1, gmflow.CHANNELS, 8, 8)
    plain = transformer(*maps)
    maps[0, :, :, 0, 0] += 1.0
    changed = [(a - b).abs().amax(dim=(0, 1)) > 1e-4 for a, b in zip(plain, transformer(*maps), strict=True)]
    top, bottom, left, right = reach
    allowed = torch.zeros(8, 8, dtype=torch.bool)
    allowed[top:bottom, left:right] = True
    for seen in changed:
        assert not (seen & ~allowed).any()
        assert seen[:4, :4].all()


@torch.no_grad()
def test_a_batch_gives_the_flow_of_its_parts():
    model = net(layers=2)
    one, two = pair(), pair(-4, 6, seed=7)
    together = model(*(torch.cat(images) for images in zip(one, two, strict=True)))
    torch.testing.assert_close(together, torch.cat([model(*one), model(*two)]), rtol=0, atol=1e-4)


@pytest.mark.parametrize(("height", "width"), [(16, 16), (48, 80), (112, 32)])
@torch.no_grad()
def test_weights_fit_any_size_in_multiples_of_16(height, width):
    flow = net(height, width, layers=2)(*pair(2, 1, height=height, width=width))
    assert flow.shape == (1, 2, height, width)
    assert flow.isfinite().all()


@pytest.mark.parametrize("shape", [(60, 64), (64, 8), (0, 16)])
def test_other_sizes_are_refused(shape):
    with pytest.raises(ConfigError, match=r"(height|width) must be"):
        GMFlowConfig(*shape)
    with pytest.raises(ConfigError, match="layers"):
        GMFlowConfig(layers=0)


def test_every_parameter_has_a_finite_gradient():
    model = net(layers=2).train()
    model(*pair()).square().mean().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.any(), name


@torch.no_grad()
def test_the_exported_net_computes_the_same_for_any_batch():
    model = net(layers=2)
    images = [torch.cat([image, image.flip(3)]) for image in pair()]
    batch = torch.export.Dim("batch", min=1, max=8)
    program = torch.export.export(model, tuple(images), dynamic_shapes=({0: batch}, {0: batch}), strict=False)
    assert len(program.range_constraints) == 1
    for count in (1, 2):
        inputs = [image[:count] for image in images]
        torch.testing.assert_close(program.module()(*inputs), model(*inputs), rtol=1e-5, atol=1e-4)
