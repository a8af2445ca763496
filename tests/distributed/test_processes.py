"""Who is one of several processes, what they are told, and what is said where they cannot be."""

import pytest
import torch

from tests.helpers.settings import hardware
from visionkit.distributed.comm import all_reduce_sum, broadcast_object, gather_objects, rank, world_size
from visionkit.distributed.processes import Processes, is_first_process
from visionkit.errors import UserError

TORCHRUN = {"TORCHELASTIC_RUN_ID": "x", "RANK": "3", "WORLD_SIZE": "4", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "2"}
SRUN = {"SLURM_STEP_ID": "0", "SLURM_PROCID": "1", "SLURM_STEP_NUM_TASKS": "4", "SLURM_STEP_NUM_NODES": "2"}


@pytest.fixture
def environment(monkeypatch):
    """Sets variables; those that the code sets are gone after the test."""
    for name in ("TORCHELASTIC_RUN_ID", "RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "GROUP_RANK",
                 "MASTER_ADDR", "MASTER_PORT", "SLURM_JOB_ID"):  # fmt: skip
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)

    def set_all(values):
        for name, value in values.items():
            monkeypatch.setenv(name, value)

    return set_all


def test_a_plain_command_is_alone():
    plan = Processes.plan(hardware())
    assert (plan.count, plan.to_launch, is_first_process()) == (1, False, True)
    assert (rank(), world_size(), all_reduce_sum([3, 4]), gather_objects("a"), broadcast_object("b")) == (
        0,
        1,
        [3, 4],
        ["a"],
        "b",
    )


def test_several_devices_are_launched():
    plan = Processes.plan(hardware(devices=2, num_nodes=3, rendezvous="a.b:29500"))
    assert (plan.count, plan.per_node, plan.to_launch) == (6, 2, True)


def test_what_torchrun_started_is_not_launched_again(environment):
    environment(TORCHRUN)
    plan = Processes.plan(hardware())
    assert (plan.per_node, plan.num_nodes, plan.to_launch, is_first_process()) == (2, 2, False, False)


def test_what_srun_started_is_a_member_under_torchs_names(environment):
    import os

    environment(SRUN | {"SLURM_JOB_ID": "123456", "SLURM_STEP_NODELIST": "gpu[03-05,9],x1", "SLURM_LOCALID": "1"})
    assert not is_first_process()
    plan = Processes.plan(hardware())
    assert (plan.per_node, plan.num_nodes, plan.to_launch) == (2, 2, False)
    assert (os.environ["RANK"], os.environ["MASTER_ADDR"], os.environ["MASTER_PORT"]) == ("1", "gpu03", "23456")


@pytest.mark.parametrize(
    "values",
    [
        {"SLURM_NTASKS": "4", "SLURM_PROCID": "0"},  # in the script of a batch job
        {"SLURM_NTASKS": "4"},  # in the shell of salloc
        {"SLURM_STEP_ID": "0", "SLURM_PROCID": "0", "SLURM_NTASKS": "1"},  # in the shell of srun --pty
        {"RANK": "1", "WORLD_SIZE": "2"},  # left over from something else
    ],
)
def test_variables_that_nobody_stands_behind_leave_a_command_alone(environment, values):
    environment(values)
    assert Processes.plan(hardware()).count == 1
    assert is_first_process()


def test_unequal_numbers_on_machines_are_refused(environment):
    environment(TORCHRUN | {"WORLD_SIZE": "5"})
    with pytest.raises(UserError, match=r"5 processes were started, 2 of them here: .* Try the same hardware.devices"):
        Processes.plan(hardware())


def test_machines_must_be_told_where_they_meet():
    with pytest.raises(UserError, match=r"found 2, but not where they meet.*hardware\.rendezvous=HOST:PORT"):
        Processes.plan(hardware(num_nodes=2))


@pytest.mark.parametrize("place", ["somewhere", "host:", ":29500", "host:port", "host:70000"])
def test_a_meeting_place_is_a_host_and_a_port(place):
    with pytest.raises(UserError, match=r"hardware\.rendezvous: expected HOST:PORT .*found '" + place):
        hardware(num_nodes=2, rendezvous=place)


def test_a_machine_beyond_the_last_is_refused():
    with pytest.raises(UserError, match=r"hardware\.node_rank: found 2.*num_nodes=2.*Try: hardware\.num_nodes=3"):
        hardware(num_nodes=2, node_rank=2, rendezvous="a:1")


def test_more_gpus_than_there_are_is_said_before_anything_starts(cli, monkeypatch, in_empty_folder):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    code, _, err = cli("hardware=gpu", "hardware.devices=2")
    assert code == 2
    assert "2 GPUs were asked for, but there is 1 here" in err
    assert list(in_empty_folder.iterdir()) == []


@pytest.mark.parametrize("words", [(), ("recipe.batch_size=500",)])
def test_more_processes_than_cores_is_said_before_anything_starts(cli, in_empty_folder, words):
    code, _, err = cli("hardware=cpu", "hardware.devices=500", *words)
    assert code == 2
    assert err.startswith("visionkit: hardware.devices: 500 processes were asked for")
    assert list(in_empty_folder.iterdir()) == []


def test_a_batch_that_does_not_divide_is_said_before_anything_starts(cli, in_empty_folder):
    code, _, err = cli("hardware=cpu", "hardware.devices=3", "recipe.batch_size=64")
    assert code == 2
    assert "The nearest that can: 63 and 66" in err
    assert list(in_empty_folder.iterdir()) == []
