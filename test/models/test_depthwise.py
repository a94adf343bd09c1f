"""The depthwise convolution's written-out gradient is the ordinary operator's."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from fluxformer_core.models.depthwise import depthwise_conv3d

SHAPES = [
    pytest.param((3, 3, 3), (1, 1, 1), (4, 5, 6), id="3x3x3"),
    pytest.param((3, 3, 3), (1, 2, 2), (4, 5, 6), id="3x3x3-halved"),
    pytest.param((3, 3, 3), (2, 4, 4), (3, 9, 7), id="3x3x3-quartered"),
    pytest.param((1, 3, 3), (1, 1, 1), (2, 4, 3), id="1x3x3"),
    pytest.param((1, 3, 3), (1, 2, 2), (2, 8, 8), id="1x3x3-halved"),
    pytest.param((1, 3, 3), (1, 8, 8), (2, 8, 8), id="stride-beyond-kernel"),
    pytest.param((5, 1, 3), (3, 1, 2), (7, 2, 5), id="uneven"),
    pytest.param((3, 3, 3), (1, 1, 1), (1, 1, 1), id="one-token"),
]


@pytest.mark.parametrize(("kernel", "stride", "grid"), SHAPES)
def test_forward_and_gradients_are_those_of_conv3d(kernel, stride, grid):
    torch.manual_seed(0)
    x = torch.randn(2, 3, *grid, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(3, 1, *kernel, dtype=torch.float64, requires_grad=True)
    out = depthwise_conv3d(x, weight, stride)
    expected = F.conv3d(x, weight, stride=stride, padding=[k // 2 for k in kernel], groups=3)
    torch.testing.assert_close(out, expected)
    upstream = torch.randn_like(out)
    ours = torch.autograd.grad(out, (x, weight), upstream)
    theirs = torch.autograd.grad(expected, (x, weight), upstream)
    torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("stride", [(1, 1, 1), (1, 2, 2)])
def test_gradients_do_not_depend_on_the_memory_layout(stride):
    torch.manual_seed(0)
    tokens = torch.randn(2, 3, 4, 5, 6, dtype=torch.float64)
    weight = torch.randn(6, 1, 3, 3, 3, dtype=torch.float64, requires_grad=True)
    results = []
    for x in (tokens.permute(0, 4, 1, 2, 3), tokens.permute(0, 4, 1, 2, 3).contiguous()):
        leaf = x.detach().requires_grad_()
        out = depthwise_conv3d(leaf, weight, stride)
        results.append(torch.autograd.grad(out.square().sum(), (leaf, weight)))
    torch.testing.assert_close(results[0], results[1])


@pytest.mark.parametrize("needed", ["input", "kernel"])
def test_gradients_of_one_of_the_two_alone(needed):
    torch.manual_seed(0)
    x = torch.randn(1, 2, 2, 4, 4, dtype=torch.float64, requires_grad=needed == "input")
    weight = torch.randn(2, 1, 1, 3, 3, dtype=torch.float64, requires_grad=needed == "kernel")
    leaf = x if needed == "input" else weight
    (ours,) = torch.autograd.grad(depthwise_conv3d(x, weight, (1, 2, 2)).square().sum(), leaf)
    plain = F.conv3d(x, weight, stride=(1, 2, 2), padding=(0, 1, 1), groups=2)
    (theirs,) = torch.autograd.grad(plain.square().sum(), leaf)
    torch.testing.assert_close(ours, theirs)


def test_half_precision_sums_in_single_precision():
    torch.manual_seed(0)
    x = torch.randn(2, 3, 4, 16, 16, dtype=torch.bfloat16, requires_grad=True)
    weight = torch.randn(3, 1, 3, 3, 3, dtype=torch.bfloat16, requires_grad=True)
    out = depthwise_conv3d(x, weight, (1, 2, 2))
    upstream = torch.randn_like(out)
    grads = torch.autograd.grad(out, (x, weight), upstream)
    assert {grad.dtype for grad in grads} == {torch.bfloat16}
    wide = [t.detach().double().requires_grad_() for t in (x, weight)]
    exact = F.conv3d(*wide, stride=(1, 2, 2), padding=(1, 1, 1), groups=3)
    for ours, theirs in zip(grads, torch.autograd.grad(exact, wide, upstream.double()), strict=True):
        # One rounding at the end: half a unit in the last of bfloat16's 8 places.
        torch.testing.assert_close(ours.double(), theirs, rtol=2**-8, atol=1e-4)
