"""Muon against its formula, torch's for matrices, timm's for filters, and torch's AdamW for the rest."""

import copy

import pytest
import torch
from torch import nn

from tests.helpers.bare_networks import uninitialised
from visionkit.models import create_model
from visionkit.settings import Muon as MuonSettings
from visionkit.training.muon import Muon, hidden_filters, orthogonalize
from visionkit.training.optimizers import make_optimizer

SETTINGS = MuonSettings(
    weight_decay=0.1, momentum=0.9, nesterov=True, ns_steps=5, adamw_lr=0.003, betas=(0.8, 0.9), eps=1e-6
)


def _weights(*shapes):
    generator = torch.Generator().manual_seed(0)
    return [nn.Parameter(torch.randn(shape, generator=generator)) for shape in shapes]


def _train(params, optimizer, *, steps=3):
    generator = torch.Generator().manual_seed(1)
    for _ in range(steps):
        for param in params:
            param.grad = torch.randn(param.shape, generator=generator)
        optimizer.step()


@pytest.mark.parametrize("shape", [(1, 5, 12), (2, 12, 5), (3, 8, 8)])
def test_newton_schulz_maps_each_singular_value_by_the_polynomial_five_times(shape):
    matrices = torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    left, values, right = torch.linalg.svd(matrices, full_matrices=False)
    values = values / matrices.flatten(1).norm(dim=1)[:, None]
    for _ in range(5):
        values = 3.4445 * values - 4.7750 * values**3 + 2.0315 * values**5
    expected = (left @ torch.diag_embed(values) @ right).float()
    torch.testing.assert_close(orthogonalize(matrices.float(), steps=5), expected, rtol=1e-3, atol=1e-4)  # float32


@pytest.mark.parametrize(("shape", "nesterov"), [((6, 20), True), ((20, 6), False)])
def test_matrices_step_as_torch_does(shape, nesterov):
    ours, theirs = _weights(shape), _weights(shape)
    group = {"params": ours, "orthogonal": True}
    _train(ours, Muon([group], lr=0.02, weight_decay=0.1, momentum=0.9, nesterov=nesterov))
    _train(theirs, torch.optim.Muon(theirs, lr=0.02, weight_decay=0.1, momentum=0.9, nesterov=nesterov))
    start = _weights(shape)[0]
    assert (ours[0] - start).norm() > 0.1
    assert (ours[0] - theirs[0]).norm() < 0.05 * (ours[0] - start).norm()  # torch's iterates in bfloat16


def test_filters_step_as_timm_does():
    timm = pytest.importorskip("timm.optim.muon")
    shapes = (8, 6, 3, 3), (64, 4, 1, 1), (8, 6, 3, 3)
    ours, theirs, start = _weights(*shapes), _weights(*shapes), _weights(*shapes)
    ours[0].data = ours[0].data.to(memory_format=torch.channels_last)
    _train(ours, Muon([{"params": ours, "orthogonal": True}], lr=0.02, weight_decay=0.1, momentum=0.9))
    reference = timm.Muon(
        [{"params": theirs, "use_fallback": False}], lr=0.02, weight_decay=0.1, momentum=0.9, nesterov=True,
        adjust_lr_fn="original", conv_mode="flatten", ns_coefficients="original",
    )  # fmt: skip
    _train(theirs, reference)
    for a, b, before in zip(ours, theirs, start, strict=True):
        assert (a - b).norm() < 0.05 * (a - before).norm()  # timm's iterates in bfloat16


def test_torch_refuses_filters():
    with pytest.raises(ValueError, match="only supports 2D"):
        torch.optim.Muon(_weights((8, 6, 3, 3)))


@pytest.mark.parametrize("fused", [False, True])
def test_all_other_parameters_step_as_adamw(fused):
    ours, theirs = _weights((5,), (4, 3)), _weights((5,), (4, 3))
    _train(ours, Muon([{"params": ours}], lr=0.01, weight_decay=0.1, betas=(0.8, 0.9), eps=1e-6, fused=fused))
    _train(theirs, torch.optim.AdamW(theirs, 0.01, (0.8, 0.9), 1e-6, weight_decay=0.1))
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)  # float32


def test_the_first_layer_the_head_norms_and_depthwise_filters_are_left_to_adamw():
    with uninitialised():
        model = create_model("classify", "mobilenet_v2", num_classes=10)
    hidden = hidden_filters(model)
    names = {name for name, parameter in model.named_parameters() if parameter in hidden}
    expected = {
        f"{name}.weight"
        for name, module in list(model.backbone.named_modules(prefix="backbone"))
        if isinstance(module, nn.Conv2d) and module.groups == 1
    } - {"backbone.stem.conv.conv.weight"}
    assert len(expected) > 20
    assert names == expected


def test_the_filters_have_the_rate_of_the_recipe_and_the_rest_its_own():
    with uninitialised():
        model = create_model("classify", "resnet20", num_classes=10)
    optimizer = make_optimizer(model, settings=SETTINGS, lr=0.02, layer_decay=0.5)
    groups = optimizer.param_groups
    assert [group["orthogonal"] for group in groups] == sorted((g["orthogonal"] for g in groups), reverse=True)
    rates = {id(p): group["lr"] for group in groups for p in group["params"]}
    assert rates[id(model.head.layers.output.weight)] == 0.003
    last = model.backbone.stage_parameters()["layer3"]
    assert {rates[id(p)] for p in last if p.ndim == 4} == {0.02 * 0.5}
    assert {rates[id(p)] for p in last if p.ndim == 1} == {0.003 * 0.5}


def test_a_state_that_is_loaded_goes_on_to_the_last_bit():
    shapes = (8, 6, 3, 3), (5,)
    ours = _weights(*shapes)

    def optimizer(params):
        return Muon([{"params": params[:1], "orthogonal": True}, {"params": params[1:]}], lr=0.02, fused=True)

    first = optimizer(ours)
    _train(ours, first)
    others = [nn.Parameter(param.detach().clone()) for param in ours]
    second = optimizer(others)
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    _train(ours, first)
    _train(others, second)
    assert all(torch.equal(a, b) for a, b in zip(ours, others, strict=True))


def test_parameters_without_a_gradient_stay_as_they_are():
    ours = _weights((8, 6), (5,))
    before = [param.detach().clone() for param in ours]
    Muon([{"params": ours[:1], "orthogonal": True}, {"params": ours[1:]}], lr=0.1, weight_decay=0.5).step()
    assert all(torch.equal(a, b) for a, b in zip(ours, before, strict=True))
