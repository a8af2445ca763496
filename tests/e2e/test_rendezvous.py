"""Processes that other machines, torchrun or srun have started: where they meet, and what is said if they do not."""

import json
import socket

import pytest
import torch

from tests.helpers import commands


@pytest.mark.slow
def test_two_machines_meet_on_loopback_and_make_one_run(photos, tmp_path):
    meeting = f"hardware.rendezvous=127.0.0.1:{commands.free_port()}"
    words = (*commands.overrides(photos), "hardware.num_nodes=2", meeting, "hardware.timeout=90", "run_dir=run")
    nodes = [commands.start(tmp_path, *words, f"hardware.node_rank={rank}") for rank in (0, 1)]
    said = [node.communicate(timeout=120) for node in nodes]
    assert [node.returncode for node in nodes] == [0, 0], said
    assert "batch    6 = 2 machines x 1 processes x 3" in said[0][0]
    assert said[1][0] == ""
    assert json.loads((tmp_path / "run" / "metrics.json").read_text())["epochs"] == 1
    assert commands.still_running(tmp_path) == []


@pytest.mark.slow
def test_two_machines_with_different_commands_stop_before_there_is_a_folder(photos, tmp_path):
    meeting = f"hardware.rendezvous=127.0.0.1:{commands.free_port()}"
    words = (*commands.overrides(photos), "hardware.num_nodes=2", meeting, "hardware.timeout=90", "run_dir=run")
    nodes = [
        commands.start(tmp_path, *commands.changed(words, f"recipe.batch_size={size}"), f"hardware.node_rank={rank}")
        for rank, size in enumerate((6, 8))
    ]
    said = [node.communicate(timeout=120) for node in nodes]
    assert [node.returncode for node in nodes] == [2, 2], said
    assert "another machine was given another command than this one" in said[0][1]
    assert "recipe.batch_size: found 8 on this machine and 6 on the first one" in said[1][1]
    assert not (tmp_path / "run").exists()
    assert commands.still_running(tmp_path) == []


@pytest.mark.slow
@pytest.mark.parametrize("rank", [0, 1])
def test_a_meeting_to_which_nobody_comes_times_out_with_its_address(photos, tmp_path, rank):
    place = f"127.0.0.1:{commands.free_port()}"
    words = ("hardware.num_nodes=2", f"hardware.node_rank={rank}", f"hardware.rendezvous={place}", "hardware.timeout=3")
    code, out, err = commands.run(tmp_path, *commands.overrides(photos), *words, "run_dir=run")
    assert code == 2, out + err
    assert place in err
    assert "within 3 s" in err
    assert "Traceback" not in err
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_a_port_in_use_is_named_with_another_one(photos, tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        words = ("hardware.num_nodes=2", f"hardware.rendezvous=127.0.0.1:{port}", "hardware.timeout=5")
        code, _, err = commands.run(tmp_path, *commands.overrides(photos), *words)
    assert code == 2
    assert f"port {port} of '127.0.0.1' is in use already" in err
    assert f"Try: hardware.rendezvous=127.0.0.1:{port + 1}" in err


@pytest.mark.slow
def test_torchrun_and_srun_make_one_run_of_their_processes(photos, tmp_path):
    code, out, err = commands.run(
        tmp_path, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2", "-m", "visionkit",
        *commands.overrides(photos), "run_dir=torchrun",
    )  # fmt: skip
    assert code == 0, out + err
    assert out.count("batch    6 = 2 processes x 3") == 1
    port = str(commands.free_port())
    slurm = {"SLURM_STEP_ID": "0", "SLURM_JOB_ID": "7", "SLURM_NTASKS": "2", "SLURM_NNODES": "1"}
    words = (*commands.overrides(photos), f"hardware.rendezvous=127.0.0.1:{port}", "run_dir=srun")
    tasks = [commands.start(tmp_path, *words, SLURM_PROCID=str(i), SLURM_LOCALID=str(i), **slurm) for i in range(2)]
    said = [task.communicate(timeout=120) for task in tasks]
    assert [task.returncode for task in tasks] == [0, 0], said
    assert "batch    6 = 2 processes x 3" in said[0][0]
    assert said[1][0] == ""
    one, other = (commands.checkpoint_weights(tmp_path / name) for name in ("torchrun", "srun"))
    assert all(torch.equal(one[name], other[name]) for name in one)
