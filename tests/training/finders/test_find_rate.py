"""The range test trains as the recipe says, with the rate alone changed, on a model of its own."""

import json

import pytest
import torch
from torch import nn

import visionkit as vk
from visionkit.cli.keywords import parse_call
from visionkit.cli.verb_configs import compose_finder
from visionkit.runs.config import RunConfig
from visionkit.training.build import build_task_and_data
from visionkit.training.finders.options import RateOptions
from visionkit.training.finders.rate_test import run_range_test

LENET = {"backbone": "lenet", "hardware": "cpu"}


def test_losses_are_those_of_a_plain_loop_whose_rate_grows_by_a_constant_factor():
    found = vk.find_lr(**LENET, low=1e-4, high=1e-1, steps=25, progress=False)
    assert found.rates == pytest.approx([1e-4 * 1000 ** (index / 24) for index in range(25)])
    module, data = vk.build(**LENET)
    module.train()
    optimizer = module.configure_optimizers()
    expected, loader = [], data.train_dataloader()
    for epoch in (0, 1):
        loader.sampler.set_epoch(epoch)
        for batch in loader:
            loss = module.model.loss(module.model(batch["images"]), batch)["loss"]
            expected.append(loss.item())
            optimizer.zero_grad()
            loss.backward()
            for group in optimizer.param_groups:
                group["lr"] = 1e-4 * 1000 ** ((len(expected) - 1) / 24)
            optimizer.step()
    assert len(found.losses) == 25
    assert found.losses == pytest.approx(expected[1:26], rel=1e-4)


def test_nothing_is_written_and_no_state_of_the_caller_changes(in_empty_folder, shared_runs):
    run = shared_runs.of("classify")
    before = {file: file.read_bytes() for file in run.rglob("*") if file.is_file()}
    state = torch.get_rng_state()
    found = vk.find_lr(run=run, steps=20, progress=False)
    assert len(found.losses) <= 20
    assert torch.equal(torch.get_rng_state(), state)
    assert {file: file.read_bytes() for file in run.rglob("*") if file.is_file()} == before
    assert list(in_empty_folder.iterdir()) == []


@pytest.mark.slow
def test_a_step_of_the_test_has_as_many_batches_as_a_step_of_the_recipe():
    alone = vk.find_lr(**LENET, recipe={"batch_size": 64}, low=1e-12, high=1e-3, steps=20, progress=False)
    several = vk.find_lr(
        **LENET, recipe={"batch_size": 32, "accumulate": 2}, low=1e-12, high=1e-3, steps=20, progress=False
    )
    assert several.rates == pytest.approx(alone.rates)
    # with such rates the first half of the losses is that of the initial weights, on other batches
    assert sum(several.losses[:10]) == pytest.approx(sum(alone.losses[:10]), rel=0.05)


def _task(**changes):
    plain, _ = compose_finder(parse_call("find", ("backbone=lenet",), {**changes}), ())
    config = RunConfig.from_plain(plain)
    return config, *build_task_and_data(config)


def test_the_ratios_between_the_rates_of_parameter_groups_are_kept():
    config, task, data = _task()
    seen, rates = [], []
    parameters = list(task.model.parameters())

    def make(model):
        groups = [{"params": parameters[:2], "lr": 0.1 * config.recipe.lr}, {"params": parameters[2:]}]
        return torch.optim.SGD(groups, lr=config.recipe.lr)

    task.optimizer_fn = make
    run_range_test(
        config, task, data, RateOptions(low=1e-4, high=1e-2, steps=20), accelerator="cpu",
        on_step=lambda step, rate, loss: (
            seen.append([group["lr"] for group in task.trainer.optimizers[0].param_groups]), rates.append(rate),
        ),
    )  # fmt: skip
    assert [first / second for first, second in seen] == pytest.approx([0.1] * len(seen))
    # groups have the rate of the step that follows, and the rate that is told is recipe.lr's, not the first group's
    assert [second for _, second in seen[:-1]] == pytest.approx(rates[1:])


class Exploding(nn.Module):
    """A loss that is no number from its fourth step on."""

    calls = 0

    def forward(self, logits, labels):
        Exploding.calls += 1
        loss = nn.functional.cross_entropy(logits, labels)
        return loss if Exploding.calls < 14 else loss * float("nan")


@pytest.mark.slow
def test_a_loss_that_is_no_number_ends_the_test_and_is_not_in_the_curve():
    Exploding.calls = 0
    found = vk.find_lr(**LENET, loss=Exploding(), low=1e-3, high=1.0, steps=40, progress=False)
    assert found.diverged
    assert len(found.losses) == 11  # of 13 calls one checks the loss, and one is of the initial weights
    assert all(loss < 10 for loss in found.losses)


@pytest.mark.slow
def test_where_no_rate_lowers_the_loss_the_message_says_what_to_try():
    with pytest.raises(vk.UserError, match=r"no rate from 1e-12 to 1e-10 has lowered the loss.*low=1e-15.*steps=80"):
        vk.find_lr(**LENET, low=1e-12, high=1e-10, steps=20, progress=False)


def test_one_process_measures_whatever_the_run_is_to_have(monkeypatch):
    from visionkit.distributed.processes import Processes
    from visionkit.training.finders.prepare import plan_single_process

    config, _, _ = _task(hardware={"devices": 2})
    config = RunConfig.from_plain({**config.plain, "hardware": {**config.plain["hardware"], "accelerator": "cpu"}})
    planned, accelerator, count = plan_single_process(config, subject="lr")
    assert (planned.hardware.devices, accelerator, count) == (1, "cpu", 2)
    monkeypatch.setattr(Processes, "plan", lambda hardware: Processes("cpu", 2, 1, started=True))
    with pytest.raises(vk.UserError, match="torchrun or srun has started 2"):
        plan_single_process(config, subject="lr")


@pytest.mark.slow
@pytest.mark.parametrize("task", ["detect", "segment", "instance"])
def test_every_task_has_a_rate(task):
    words = {"task": task, "dataset": {"image_size": 64, "scenes": {"train": 32, "val": 4, "test": 4, "count": [1, 2]}}}
    words |= {"recipe": {"batch_size": 4}, "hardware": "cpu", "backbone": "lenet"}
    found = vk.find_lr(**words, low=1e-5, high=0.1, steps=20, progress=False)
    assert 1e-5 < found.suggestion <= 0.1
    assert json.loads(json.dumps(found.to_json()))["word"] == found.word


def test_groups_with_rates_of_their_own_are_said(monkeypatch):
    from visionkit.training import optimizers

    whole = optimizers.parameter_groups

    def decayed(model, **arguments):
        groups = whole(model, **arguments)
        return [{**groups[0], "lr": 0.01}, *groups[1:]]

    monkeypatch.setattr(optimizers, "parameter_groups", decayed)
    found = vk.find_lr(**LENET, recipe={"lr": 0.1}, low=1e-3, high=0.1, steps=20, progress=False)
    assert found.notes[-1].startswith("Groups of parameters have rates of their own, 0.1 to 1 times recipe.lr")


def test_what_is_to_be_typed_of_muon_has_both_of_its_rates():
    found = vk.find_lr("recipe=muon", **LENET, low=1e-3, high=0.1, steps=20, progress=False)
    assert found.word == f"recipe.lr={found.suggestion:.2g} recipe.optimizer.adamw_lr={found.suggestion / 20:.2g}"
