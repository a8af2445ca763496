"""The terms that make a student like its teacher, against their formulas."""

import math

import pytest
import torch
from torch import nn

from visionkit.models import create_model
from visionkit.settings import Muon, Sgd
from visionkit.tasks.distillation import FeatureDistillation, LogitDistillation, kl_divergence, pearson_distance
from visionkit.training.optimizers import make_optimizer


def _softmax(values, temperature):
    powers = [math.exp(value / temperature) for value in values]
    return [power / sum(powers) for power in powers]


def test_the_divergence_is_that_of_the_paper_by_hand():
    student, teacher, temperature = [[1.0, 0.0, -2.0], [0.5, 0.5, 3.0]], [[2.0, 1.0, 0.0], [-1.0, 0.0, 1.0]], 3.0
    total = 0.0
    for own, other in zip(student, teacher, strict=True):
        p, q = _softmax(other, temperature), _softmax(own, temperature)
        total += sum(a * math.log(a / b) for a, b in zip(p, q, strict=True))
    found = kl_divergence(torch.tensor(student), torch.tensor(teacher), temperature=temperature)
    assert float(found) == pytest.approx(temperature**2 * total / 2, rel=1e-5)


def test_the_distance_of_maps_is_one_minus_the_correlation_of_their_channels():
    generator = torch.Generator().manual_seed(0)
    student, teacher = (torch.randn(3, 4, 5, 6, generator=generator) for _ in range(2))
    pairs = zip(student.transpose(0, 1).flatten(1), teacher.transpose(0, 1).flatten(1), strict=True)
    correlations = [float(torch.corrcoef(torch.stack(pair))[0, 1]) for pair in pairs]
    expected = 1 - sum(correlations) / 4
    assert float(pearson_distance(student, teacher)) == pytest.approx(expected, abs=1e-5)
    assert float(pearson_distance(student, 3 * student + 7)) == pytest.approx(0.0, abs=1e-5)


class _Teacher(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(12, 3)
        self.dropout = nn.Dropout(0.5)

    def forward(self, images, image_sizes=None):
        return {"logits": self.dropout(self.linear(images.flatten(1).float()))}


def test_the_loss_is_the_weighted_sum_and_the_teacher_is_no_part_of_the_module():
    torch.manual_seed(0)
    teacher = _Teacher()
    part = LogitDistillation(teacher, weight=0.25, identity="x", temperature=2.0, class_order=[2, 0, 1]).train()
    batch = {"images": torch.rand(4, 1, 3, 4)}
    logits = torch.randn(4, 3, requires_grad=True)
    losses = part.add({"loss": torch.tensor(8.0)}, {"logits": logits}, batch)
    expected = kl_divergence(logits, teacher.linear(batch["images"].flatten(1))[:, [2, 0, 1]], temperature=2.0)
    assert losses["loss_task"] == 6.0
    assert torch.equal(losses["loss_distillation"], 0.25 * expected)
    losses["loss_distillation"].backward()
    assert all(parameter.grad is None for parameter in teacher.parameters())
    assert list(part.state_dict()) == list(part.parameters()) == []
    assert part.double()._teacher[0].linear.weight.dtype == torch.float64  # it moves with the module


@pytest.mark.parametrize(
    ("settings", "factors", "rate"),
    [
        (Muon(momentum=0.95, nesterov=True, ns_steps=5, adamw_lr=1e-3, betas=(0.9, 0.95), eps=1e-8, weight_decay=0.01),
         {}, 1e-3),
        (Sgd(momentum=0.9, nesterov=True, weight_decay=0.01), {"backbone_lr": 4.0}, 0.02),
        (Sgd(momentum=0.9, nesterov=True, weight_decay=0.01), {"layer_decay": 0.5}, 0.02),
    ],
)  # fmt: skip
def test_adapters_have_the_rate_of_a_layer_of_the_head(settings, factors, rate):
    model = create_model("classify", "lenet", num_classes=10)
    optimizer = make_optimizer(model, settings=settings, lr=0.02, **factors)
    part = FeatureDistillation(nn.Identity(), weight=1.0, identity="", maps=MAPS, seed=0)
    part.add_parameters(optimizer)
    assert optimizer.param_groups[-1]["lr"] == pytest.approx(rate)
    assert optimizer.param_groups[-1]["weight_decay"] == 0.01


def test_adapters_are_drawn_by_the_seed_alone_and_drawing_them_changes_no_other_draw():
    torch.manual_seed(5)
    before = torch.get_rng_state()
    parts = [FeatureDistillation(nn.Identity(), weight=1.0, identity="x", maps=MAPS, seed=s) for s in (3, 3, 4)]
    assert torch.equal(before, torch.get_rng_state())
    one, two, other = (part.adapters["8"].weight for part in parts)
    assert torch.equal(one, two)
    assert not torch.equal(one, other)
    with torch.no_grad():
        one.zero_()
    parts[0].reset()
    assert torch.equal(one, two)
    assert list(parts[0].adapters) == ["8"]  # the maps of stride 16 have the same channels


MAPS = {8: (("a", 4), ("b", 6)), 16: (("c", 5), ("d", 5))}


def test_maps_are_compared_by_stride_and_those_of_an_evaluation_are_not_kept():
    class Student(nn.Module):
        def forward(self, images):
            return {"a": images[:, :4], "c": images[:, :5]}

    class Teacher(nn.Module):
        def forward(self, images, image_sizes):
            return {"b": images[:, :6], "d": 2 * images[:, :5, ::2, ::2]}

    student = Student()
    part = FeatureDistillation(Teacher(), weight=2.0, identity="x", maps=MAPS, seed=3).watch(student)
    images = torch.rand(2, 6, 8, 8, generator=torch.Generator().manual_seed(0))
    student.eval()(images)
    assert not part._features
    student.train()(images)
    losses = part.add({"boxes": torch.tensor(1.0)}, {}, {"images": images})
    small = nn.functional.interpolate(2 * images[:, :5, ::2, ::2], (8, 8), mode="bilinear", align_corners=False)
    apart = [pearson_distance(part.adapters["8"](images[:, :4]), images), pearson_distance(images[:, :5], small)]
    assert losses["boxes"] == 1.0
    assert losses["loss_distillation"].item() == pytest.approx(sum(float(each.detach()) for each in apart), rel=1e-6)
    assert not part._features
