"""Batch norm over several processes equals batch norm over the whole batch."""

import pytest
import torch
from torch import nn

from tests.helpers.process_group import run_in_group
from visionkit.distributed.sync_batch_norm import (
    SyncBatchNorm,
    convert_batch_norm,
    count_unsupported_batch_norms,
)

TOLERANCE = 1e-12  # of double precision, with room for another order of the sums


def _batch(shape):
    generator = torch.Generator().manual_seed(0)
    x, grad = (torch.randn(shape, dtype=torch.float64, generator=generator) for _ in range(2))
    return x * 3 + 5, grad


def _norm(cls, shape, **arguments):
    norm = cls(shape[1], **arguments).double()
    if norm.affine:
        nn.init.uniform_(norm.weight, 0.5, 1.5, generator=torch.Generator().manual_seed(1))
        nn.init.uniform_(norm.bias, -1, 1, generator=torch.Generator().manual_seed(2))
    return norm


def _step(norm, x, grad):
    x = x.clone().requires_grad_()
    out = norm(x)
    out.backward(grad)
    state = {name: value.clone() for name, value in norm.state_dict().items()}
    grads = {name: p.grad for name, p in norm.named_parameters()}
    return {"out": out.detach(), "x": x.grad, "state": state, "grads": grads}


def _member(rank, shape, parts, arguments):
    x, grad = (whole.split(parts)[rank] for whole in _batch(shape))
    found = _step(_norm(SyncBatchNorm, shape, **arguments), x, grad)
    return {k: {n: t.numpy() for n, t in v.items()} if isinstance(v, dict) else v.numpy() for k, v in found.items()}


@pytest.mark.parametrize(
    ("shape", "parts", "arguments"),
    [
        ((6, 4, 5, 3), [3, 3], {}),
        ((7, 3, 2, 2), [4, 1, 2], {"momentum": None}),
        ((5, 3), [3, 2], {"affine": False}),
    ],
)
def test_outputs_gradients_and_statistics_are_those_of_the_whole_batch(tmp_path, shape, parts, arguments):
    plain = nn.BatchNorm2d if len(shape) == 4 else nn.BatchNorm1d
    whole = _step(_norm(plain, shape, **arguments), *_batch(shape))
    found = run_in_group(len(parts), _member, shape, parts, arguments, folder=tmp_path)
    for name in ("out", "x"):
        joined = torch.cat([torch.from_numpy(part[name]) for part in found])
        assert torch.allclose(joined, whole[name], rtol=0, atol=TOLERANCE)
    for part in found:
        for name, value in whole["state"].items():
            assert torch.allclose(torch.from_numpy(part["state"][name]), value, rtol=0, atol=TOLERANCE), name
    for name, value in whole["grads"].items():
        total = sum(torch.from_numpy(part["grads"][name]) for part in found)
        assert torch.allclose(total, value, rtol=0, atol=TOLERANCE), name


def test_alone_it_is_batch_norm():
    shape = (4, 3, 2, 2)
    plain, synced = (
        _step(_norm(nn.BatchNorm2d, shape), *_batch(shape)),
        _step(_norm(SyncBatchNorm, shape), *_batch(shape)),
    )
    assert torch.equal(plain["out"], synced["out"])
    assert torch.equal(plain["x"], synced["x"])


class _Foreign(nn.BatchNorm2d):
    """Somebody else's."""


def test_norms_of_torch_are_replaced_and_those_of_others_counted():
    net = nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2, eps=0.1), nn.Sequential(nn.BatchNorm1d(3)), _Foreign(2))
    before = {name: id(value) for name, value in net.named_parameters()}
    convert_batch_norm(net.eval())
    assert [type(m) for m in (net[1], net[2][0], net[3])] == [SyncBatchNorm, SyncBatchNorm, _Foreign]
    assert {name: id(value) for name, value in net.named_parameters()} == before
    assert (net[1].eps, net[1].training) == (0.1, False)
    assert count_unsupported_batch_norms(net) == 1


def test_on_gpus_torchs_own_takes_the_place_of_torchs_batch_norms_alone():
    net = nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2, eps=0.1), nn.Sequential(nn.BatchNorm1d(3)), _Foreign(2))
    before = {name: value.clone() for name, value in net.state_dict().items()}
    convert_batch_norm(net, on_gpu=True)
    assert [type(m) for m in (net[1], net[2][0], net[3])] == [nn.SyncBatchNorm, nn.SyncBatchNorm, _Foreign]
    assert net[1].eps == 0.1
    torch.testing.assert_close(dict(net.state_dict()), before)
