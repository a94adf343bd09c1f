"""The networks: their size, what each stream may see, and that they survive any input and export."""

from __future__ import annotations

import copy
import itertools

import pytest
import torch
from helpers import FRAMES, SIZE, small_config, small_model
from torch import Tensor, nn

from fluxformer_core.errors import ConfigError
from fluxformer_core.models.cost import count_parameters
from fluxformer_core.models.fluxformer.attention import AttentionConfig, PoolingAttention
from fluxformer_core.models.fluxformer.fluxformer import Fluxformer, FluxformerConfig
from fluxformer_core.models.fluxformer.mvit import MViTConfig
from fluxformer_core.models.registry import clip_spec, create_model, list_models, model_config
from fluxformer_core.models.stem import conv3d

DUPLEX = ["cross", "self", "bidirectional"]


def clips(batch: int = 2, *, seed: int = 0, frames: int = FRAMES, size: int = SIZE) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    rgb, flow = (torch.randn(batch, 3, frames, size, size, generator=generator) for _ in range(2))
    return rgb, flow.clamp(-1, 1)


def unfix_gates(model: nn.Module) -> None:
    """Give every gate that starts at a constant a random value, so that all paths carry something."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith(("gamma", "value_gate")):
                parameter.normal_()


@pytest.mark.parametrize(("name", "stages", "expected"), [
    ("fluxformer_s", (1,), 34.65), ("fluxformer_s", (1, 2), 34.93), ("fluxformer_s", (1, 2, 3), 41.38),
    ("fluxformer_s", (1, 2, 3, 4), 45.25), ("fluxformer_b", (1, 2, 3, 4), 67.54),
])  # fmt: skip
def test_duplex_blocks_add_as_many_parameters_as_measured(name, stages, expected):
    with torch.device("meta"):
        model = create_model(name, 400, duplex="self", duplex_stages=stages, clusters=0)
    count = count_parameters(model) / 1e6
    config = model_config(name).trunk
    gates = sum(a.dim_out for a in config.attentions()[: sum(config.depths[: len(stages)])]) / 1e6
    assert count - gates == pytest.approx(expected, abs=0.0051)


def test_the_published_count_is_that_of_duplex_everywhere_and_the_released_label_modules():
    """The Fluxformer paper (RA-L 2023) gives 86.4 M, which leaves out relative positions; with them it is 86.85 M."""
    trunk = MViTConfig(depths=(2, 3, 16, 3))
    with torch.device("meta"):
        model = Fluxformer(FluxformerConfig(trunk, "self", (1, 2, 3, 4), final_blocks=2, final_heads=4, gate=0.0), 400)
    count = {name: p.numel() / 1e6 for name, p in model.named_parameters()}
    ours = sum(n for name, n in count.items() if not name.startswith("clustering.") and "gamma" not in name)
    tubelets = sum(n for name, n in count.items() if name.startswith("clustering.embed."))
    # Not built here: two blocks over cluster labels (197 wide, hidden 3072) and a layer that makes one token of them.
    block = 4 * (197**2 + 197) + (197 * 3072 + 3072) + (3072 * 197 + 197) + 4 * 197
    labels = (2 * block + 1576 * 768 + 768) / 1e6
    assert labels == pytest.approx(3.95, abs=0.005)
    assert ours + tubelets + labels == pytest.approx(86.853, abs=0.003)
    positions = sum(n for name, n in count.items() if ".rel_" in name)
    assert ours + tubelets + labels - positions == pytest.approx(86.449, abs=0.003)


def test_cross_mode_saves_the_flow_streams_values():
    shapes = small_config(duplex="cross"), small_config(duplex="self")
    cross, own = ({n for n, _ in small_model(c).named_parameters()} for c in shapes)
    assert {n.split("flow_attn.")[1] for n in own - cross} == {"pool_v.weight", "norm_v.weight", "norm_v.bias"}
    assert cross < own


@pytest.mark.parametrize("mode", DUPLEX)
def test_with_closed_gates_the_net_is_the_plain_trunk(mode):
    plain = small_model(small_config(duplex="off", clusters=0))
    duplex = small_model(small_config(duplex=mode, clusters=0, gate=0.0), seed=1)
    missing = duplex.load_state_dict(plain.state_dict(), strict=False)
    assert not missing.unexpected_keys
    parts = ("flow_embed", "flow_attn", "gate", "gamma")
    assert all(any(part in key for part in parts) for key in missing.missing_keys)
    rgb, flow = clips()
    for any_flow in (flow, 100 * flow, None):
        torch.testing.assert_close(duplex(rgb, any_flow).logits, plain(rgb).logits)


@pytest.mark.parametrize("mode", DUPLEX)
def test_an_open_gate_lets_flow_change_the_answer(mode):
    model = small_model(small_config(duplex=mode))
    rgb, flow = clips()
    assert (model(rgb, flow).logits - model(rgb, -flow).logits).abs().max() > 1e-4


@pytest.mark.parametrize(("mode", "sees_rgb"), [("cross", True), ("self", False), ("bidirectional", True)])
def test_the_flow_stream_reads_rgb_values_but_in_self_mode(mode, sees_rgb):
    model = small_model(small_config(duplex=mode))
    torch.manual_seed(3)
    x, other, flow = torch.randn(3, 1, 129, 16).unbind()
    block = model.blocks[0]
    streams = [block.forward_duplex(tokens[None, 0], flow[None, 0], None)[1] for tokens in (x, other)]
    assert torch.equal(*streams) is not sees_rgb


@pytest.mark.parametrize(("mode", "reads"), [("cross", False), ("self", False), ("bidirectional", True)])
def test_rgb_attention_reads_flow_values_in_bidirectional_mode_only(mode, reads):
    model = small_model(small_config(duplex=mode))
    block = model.blocks[0]
    unfix_gates(block)
    with torch.no_grad():
        block.gamma.zero_()  # leaves the attention as the only way from flow to RGB
    torch.manual_seed(3)
    x, flow, other = torch.randn(3, 1, 129, 16).unbind()
    streams = [block.forward_duplex(x[None, 0], tokens[None, 0], None)[0] for tokens in (flow, other)]
    assert torch.equal(*streams) is not reads


@pytest.mark.parametrize("mode", DUPLEX)
def test_without_flow_the_net_is_the_one_whose_gates_are_closed(mode):
    model = small_model(small_config(duplex=mode))
    unfix_gates(model)
    closed = copy.deepcopy(model)
    with torch.no_grad():
        for name, parameter in closed.named_parameters():
            if name.endswith(("gamma", "value_gate")):
                parameter.zero_()
    rgb, flow = clips()
    torch.testing.assert_close(model(rgb).logits, closed(rgb, flow).logits)
    assert not torch.allclose(model(rgb).logits, model(rgb, torch.zeros_like(flow)).logits), "no flow is not zero flow"


@pytest.mark.parametrize("mode", DUPLEX)
def test_a_sample_whose_flow_is_dropped_is_answered_as_without_flow(mode):
    model = small_model(small_config(duplex=mode))
    unfix_gates(model)
    torch.manual_seed(3)
    x, flow = torch.randn(2, 2, 129, 16)
    keep = torch.tensor([0.0, 1.0]).view(2, 1, 1)
    block = model.blocks[0]
    out = block.forward_duplex(x, flow, keep)[0]
    torch.testing.assert_close(out[0], block(x)[0])
    torch.testing.assert_close(out[1], block.forward_duplex(x, flow, None)[0][1])
    assert not torch.allclose(out[1], block(x)[1])


def test_flow_is_dropped_in_training_at_the_set_rate():
    config = small_config(flow_dropout=0.25, head_dropout=0.0, trunk={"drop_path": 0.0})
    model = small_model(config).train()
    rgb, flow = (t.expand(256, -1, -1, -1, -1) for t in clips(1))
    with torch.no_grad():
        dropped = (model(rgb, flow).logits - model(rgb[:1]).logits).abs().amax(1) < 1e-4
    assert 0.15 < dropped.float().mean() < 0.35


def test_the_clustering_and_the_value_gate_learn_from_their_starting_points():
    model = small_model(small_config(duplex="bidirectional"))
    rgb, flow = clips()
    nn.functional.cross_entropy(model(rgb, flow).logits, torch.tensor([0, 1])).backward()
    for name in ("clustering.prototypes", "clustering.log_sharpness", "clustering.embed.weight", "blocks.0.value_gate"):
        assert model.get_parameter(name).grad.norm() > 1e-7, name


def test_a_closed_gate_can_open():
    model = small_model(small_config(gate=0.0))
    rgb, flow = clips()
    nn.functional.cross_entropy(model(rgb, flow).logits, torch.tensor([0, 1])).backward()
    assert model.get_parameter("blocks.0.gamma").grad.norm() > 1e-7


@pytest.mark.parametrize(
    ("q_stride", "kv_stride"),
    [((1, 1, 1), (1, 2, 2)), ((1, 2, 2), (1, 1, 1)), ((1, 1, 1), (1, 1, 1)), ((2, 1, 2), (1, 4, 1))],
)
def test_attention_with_relative_positions_is_what_the_formula_says(q_stride, kv_stride):
    config = AttentionConfig(8, 8, 2, (2, 4, 4), q_stride, kv_stride)
    torch.manual_seed(0)
    attention = PoolingAttention(config).double()
    for axis in (attention.rel_t, attention.rel_h, attention.rel_w):
        nn.init.normal_(axis.table)
    q_cells, k_cells = ([*itertools.product(*map(range, grid))] for grid in (config.q_grid, config.kv_grid))
    q = torch.randn(1, 2, 1 + len(q_cells), 4, dtype=torch.float64)
    k, v = torch.randn(2, 1, 2, 1 + len(k_cells), 4, dtype=torch.float64)
    expected = torch.empty_like(q)
    for head in range(2):
        for i, query in enumerate(q[0, head]):
            scores = query @ k[0, head].T / 4**0.5
            for j, cell in enumerate(k_cells):
                if i == 0:
                    break  # the class token has no position
                for axis, (a, b) in enumerate(zip(q_cells[i - 1], cell, strict=True)):
                    table = (attention.rel_t, attention.rel_h, attention.rel_w)[axis].table
                    queries, keys = config.q_grid[axis], config.kv_grid[axis]
                    fine = max(queries, keys)  # distances are counted in cells of the finer of the two grids
                    distance = a * (fine // queries) - b * (fine // keys)
                    farthest_back = (keys - 1) * (fine // keys)
                    scores[j + 1] += query @ table[distance + farthest_back]
            expected[0, head, i] = scores.softmax(0) @ v[0, head] + (query if i else 0)
    expected = attention.proj(expected.transpose(1, 2).flatten(2))
    torch.testing.assert_close(attention.attend_textbook(q, k, v), expected)
    torch.testing.assert_close(attention.attend(q, k, v), expected)


def test_the_token_pool_leaves_the_class_token_alone_and_treats_heads_alike():
    config = AttentionConfig(8, 8, 2, (2, 4, 4), (1, 2, 2), (1, 1, 1))
    torch.manual_seed(0)
    pool = PoolingAttention(config).pool_q
    x = torch.randn(1, 33, 8)
    out = pool(x)
    assert out.shape == (1, 1 + 2 * 2 * 2, 8)
    assert torch.equal(out[:, 0], x[:, 0])
    swapped = pool(x.unflatten(2, (2, 4)).flip(2).flatten(2)).unflatten(2, (2, 4)).flip(2).flatten(2)
    torch.testing.assert_close(swapped, out)


@pytest.fixture(scope="module")
def nano() -> Fluxformer:
    torch.manual_seed(0)
    model = create_model("fluxformer_nano", 27)
    assert isinstance(model, Fluxformer)
    return model.eval()


def test_autocast_to_half_precision_stays_finite_on_loud_input(nano):  # test_precision.py has weights in half precision
    rgb, flow = clips(1, frames=16, size=64)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        loud, normal = nano(10 * rgb, 10 * flow), nano(rgb, flow)
    assert loud.logits.dtype == torch.bfloat16
    assert loud.logits.isfinite().all()
    with torch.no_grad():
        exact = nano(rgb, flow)
    assert torch.cosine_similarity(normal.embedding.float(), exact.embedding).item() > 0.99


def test_evaluation_is_deterministic(nano):
    rgb, flow = clips(1, frames=16, size=64)
    with torch.no_grad():
        assert torch.equal(nano(rgb, flow).logits, nano(rgb, flow).logits)


@pytest.mark.slow
def test_the_exported_graph_computes_the_same_for_any_batch(nano):
    batch = torch.export.Dim("batch", min=1, max=8)
    shapes = {"rgb": {0: batch}, "flow": {0: batch}}
    with torch.no_grad():
        program = torch.export.export(nano, clips(2, frames=16, size=64), dynamic_shapes=shapes, strict=False)
        for size in (1, 2, 5):
            rgb, flow = clips(size, seed=size, frames=16, size=64)
            for ours, theirs in zip(program.module()(rgb, flow), nano(rgb, flow), strict=True):
                torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", list_models())
def test_every_listed_model_can_be_made_and_takes_its_own_clip(name):
    with torch.device("meta"):
        model = create_model(name, 7)
        spec = clip_spec(name)
        rgb = torch.empty(2, 3, spec.frames, spec.size, spec.size)
        logits, embedding = model(rgb, rgb)
    assert logits.shape == (2, 7)
    assert embedding.shape == (2, model_config(name).width)


def test_grids_heads_and_strides_of_the_published_trunk():
    blocks = MViTConfig().attentions()
    assert len(blocks) == 16
    transitions = [i for i, a in enumerate(blocks) if a.dim != a.dim_out]
    assert transitions == [1, 3, 14]
    assert {a.head_dim for a in blocks} == {96}
    assert [blocks[i].kv_grid for i in (0, 1, 2, 3, 4, 14, 15)] == [
        (8, 7, 7), (8, 14, 14), (8, 7, 7), (8, 14, 14), (8, 7, 7), (8, 14, 14), (8, 7, 7),
    ]  # fmt: skip
    assert [blocks[i].q_grid[1] for i in (0, 1, 3, 14)] == [56, 28, 14, 7]


def test_an_unknown_model_or_setting_is_refused_by_name():
    with pytest.raises(ConfigError, match=r"no model 'fluxformer_xl'.*fluxformer_nano"):
        create_model("fluxformer_xl", 2)
    with pytest.raises(ConfigError, match="dupplex"):
        create_model("fluxformer_nano", 2, dupplex="off")


@pytest.mark.parametrize(("frames", "size"), [(3, 32), (4, 36)])
def test_a_clip_that_does_not_divide_is_refused(frames, size):
    with pytest.raises(ConfigError, match=f"{frames} frames of {size} px"):
        MViTConfig(frames=frames, size=size, depths=(1, 1))


@pytest.mark.parametrize("changes", [
    {"duplex_stages": ()}, {"duplex_stages": (2,)}, {"duplex_stages": (1, 2, 3)}, {"clusters": -1}, {"final_heads": 5},
    {"tubelet": (3, 16, 16)}, {"tubelet": (2, 16, 0)}, {"cluster_rounds": 0}, {"final_blocks": 0},
    {"flow_dropout": 1.0}, {"head_dropout": -0.1},
])  # fmt: skip
def test_a_configuration_that_contradicts_itself_is_refused(changes):
    with pytest.raises(ConfigError, match=next(iter(changes))):
        small_config(**changes)


@pytest.mark.parametrize("changes", [
    {"depths": ()}, {"depths": (1, 0)}, {"dim": 0}, {"heads": 3, "dim": 16}, {"stem_stride": (2, 0, 4)},
    {"stem_kernel": (3, 6, 7)}, {"pool_kernel": (1, 2, 3)}, {"stem_widths": (8, 8, 8)}, {"drop_path": 1.0},
    {"kv_stride": 0},
])  # fmt: skip
def test_a_trunk_that_contradicts_itself_is_refused(changes):
    with pytest.raises(ConfigError, match=next(iter(changes))):
        small_config(trunk=changes)


def test_plain_configurations_ignore_what_they_do_not_use():
    trunk = MViTConfig(frames=4, size=32, depths=(1, 1), dim=16)
    assert FluxformerConfig(trunk, duplex="off", clusters=0, final_heads=7).width == 32


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize(("kernel", "stride"), [((1, 3, 3), (1, 2, 2)), ((3, 3, 3), (2, 2, 2)), ((2, 4, 4), (2, 4, 4))])
def test_convolutions_compute_the_same_whether_or_not_they_may_learn(kernel, stride, causal, bias):
    torch.manual_seed(0)
    padding = (kernel[0] // 2, 1, 1)
    conv = conv3d(3, 8, kernel, stride, padding, causal=causal, bias=bias)
    x, _ = clips(1)
    learning = conv(x)
    with torch.inference_mode():
        torch.testing.assert_close(conv(x), learning.detach(), rtol=1e-5, atol=1e-5)
    learning.square().mean().backward()
    assert conv.weight.grad is not None
    assert conv.weight.grad.abs().max() > 0
