"""Spatial clustering: support tokens that depend on where things are, and prototypes that learn."""

from __future__ import annotations

import torch
from helpers import FRAMES, SIZE
from test_models import clips

from fluxformer_core.models.fluxformer.clustering import ClusteringTokens


def clustering_tokens() -> ClusteringTokens:
    torch.manual_seed(0)
    return ClusteringTokens((4, 32, 32), (2, 8, 8), 12, 5, rounds=3).eval()


def test_clustering_follows_the_order_of_its_prototypes_and_nothing_else():
    module = clustering_tokens()
    rgb, _ = clips()
    tokens, share = module.assign(rgb)
    assert torch.equal(module(rgb), tokens)
    order = torch.tensor([3, 0, 4, 1, 2])
    with torch.no_grad():
        module.prototypes.copy_(module.prototypes[order])
    permuted, permuted_share = module.assign(rgb)
    torch.testing.assert_close(permuted, tokens[:, order])
    torch.testing.assert_close(permuted_share, share[..., order])


def test_every_tubelet_is_shared_out_among_the_clusters():
    tokens, share = clustering_tokens().assign(clips()[0])
    assert tokens.shape == (2, 5, 12)
    assert share.shape == (2, 2, 4, 4, 5)
    assert share.min() >= 0
    torch.testing.assert_close(share.sum(-1), torch.ones(2, 2, 4, 4))


def test_hard_assignment_gives_each_tubelet_to_one_cluster_and_still_learns():
    torch.manual_seed(0)
    layer = ClusteringTokens((FRAMES, SIZE, SIZE), (2, 8, 8), 16, clusters=4, rounds=3, hard=True)
    tokens, share = layer.assign(clips()[0])
    assert ((share.detach() - share.detach().round()).abs() < 1e-6).all()
    assert torch.allclose(share.detach().sum(-1), torch.ones(share.shape[:-1]))
    tokens.square().sum().backward()
    for name, parameter in layer.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
    assert layer.prototypes.grad.abs().sum() > 0


def test_tubelets_that_look_alike_share_a_cluster():
    # Left half bright, right half dark: without positions the clusters can only follow the brightness.
    module = clustering_tokens()
    with torch.no_grad():
        for position in (module.position_t, module.position_h, module.position_w):
            position.zero_()
        module.log_sharpness.fill_(4.0)
    rgb = torch.full((1, 3, 4, 32, 32), -1.0)
    rgb[..., :16] = 1.0
    best = module.assign(rgb)[1].argmax(-1)[0]
    assert len(best[:, :, :2].unique()) == len(best[:, :, 2:].unique()) == 1
    assert best[0, 0, 0] != best[0, 0, 3]
