"""`visionkit.build`: plain Lightning objects, which work under any Trainer and train as `visionkit.train` does."""

import json
import os
import subprocess
import sys

import lightning.pytorch as pl
import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger
from safetensors.torch import load_file

import visionkit as vk
from tests.helpers.paths import REPOSITORY
from tests.helpers.pictures import blank_pictures

WORDS = {
    "classify": {
        "backbone": "lenet", "dataset": {"val_fraction": 0.4, "test_fraction": 0.4},
        "recipe": {"epochs": 2, "batch_size": 64},
    },
    "segment": {
        "task": "segment", "dataset": {"image_size": 64, "scenes": {"train": 24, "val": 8, "test": 8}},
        "recipe": {"epochs": 2, "batch_size": 8},
    },
    "detect": {
        "task": "detect", "dataset": {"image_size": 64, "scenes": {"train": 24, "val": 8, "test": 8}},
        "recipe": {"epochs": 2, "batch_size": 8},
    },
}  # fmt: skip


@pytest.mark.parametrize(
    "task",
    ["classify", *(pytest.param(task, marks=pytest.mark.slow) for task in ("segment", "detect"))],
)
def test_a_trainer_with_its_defaults_trains_as_visionkit_does(task, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = {**WORDS[task], "hardware": "cpu"}
    with blank_pictures():
        run = vk.train(**words, progress=False, run_dir=tmp_path / "run")
    module, data = vk.build(**words)
    trainer = pl.Trainer(
        max_epochs=2, accelerator="cpu", gradient_clip_val=run.config["recipe"]["clip_norm"],
        accumulate_grad_batches=run.config["recipe"]["accumulate"], callbacks=[ModelCheckpoint(save_last=True)],
        logger=CSVLogger(tmp_path, name="logs"), default_root_dir=tmp_path, log_every_n_steps=1,
    )  # fmt: skip
    trainer.fit(module, data)
    for name, value in run.history[-1].items():
        if name.startswith(("train/", "val/")):
            assert float(trainer.callback_metrics[name]) == pytest.approx(value, rel=1e-6), name
    last = torch.load(run.path / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
    assert all(torch.equal(last[f"model.{name}"], value) for name, value in module.model.state_dict().items())
    module.model.load_state_dict(load_file(run.path / "model.safetensors"))  # the best epoch is that of the test
    (tested,) = trainer.test(module, datamodule=data)
    assert len(tested) > 3
    assert tested == pytest.approx({name: run.metrics[name] for name in tested}, rel=1e-6)
    assert (tmp_path / "logs" / "version_0" / "metrics.csv").read_text().count("val/loss") == 1
    assert list((tmp_path / "logs" / "version_0" / "checkpoints").glob("*.ckpt"))


def test_the_weights_are_those_that_a_training_begins_with_and_no_seed_is_changed():
    state = torch.get_rng_state()
    first, _ = vk.build(backbone="lenet", seed=3)
    torch.rand(7)
    second, _ = vk.build(backbone="lenet", seed=3)
    other, _ = vk.build(backbone="lenet", seed=4)
    torch.set_rng_state(state)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(first.parameters(), other.parameters(), strict=True))
    vk.build(backbone="lenet", seed=3)
    assert torch.equal(torch.get_rng_state(), state)


def test_batches_are_those_of_the_data_set():
    _, data = vk.build(backbone="lenet", recipe={"batch_size": 16})
    batch = next(iter(data.train_dataloader()))
    assert batch["images"].shape == (16, 1, 32, 32)
    assert batch["images"].dtype == torch.uint8
    assert data.sizes == {"train": 1257, "val": 270, "test": 270}


def test_a_run_is_built_again_from_its_folder_but_not_resumed(shared_runs):
    folder = shared_runs.of("classify")
    module, _ = vk.build(run=folder)
    stored = load_file(folder / "model.safetensors")
    state = module.model.state_dict()
    assert {name: value.shape for name, value in state.items()} == {name: v.shape for name, v in stored.items()}
    first = next(name for name in stored if name.startswith("backbone.") and name.endswith(".weight"))
    assert not torch.equal(state[first], stored[first])  # it is not trained yet
    with pytest.raises(vk.UserError, match=r"resume: a run is continued.*visionkit\.train\(run=\.\.\., resume=True\)"):
        vk.build(run=folder, resume=True)


PROCESSES = """
import json, sys
import lightning.pytorch as pl
import visionkit as vk

if __name__ == "__main__":
    module, data = vk.build(
        backbone="lenet", dataset={"val_fraction": 0.301, "test_fraction": 0.301},
        recipe={"epochs": 1, "batch_size": 64}, hardware="cpu",
    )
    assert data.sizes["val"] % 2 and data.sizes["test"] % 2, data.sizes
    trainer = pl.Trainer(
        max_epochs=1, accelerator="cpu", devices=int(sys.argv[1]), strategy=sys.argv[2], logger=False,
        enable_checkpointing=False, enable_progress_bar=False, use_distributed_sampler=True,
    )
    trainer.fit(module, data)
    (tested,) = trainer.test(module, datamodule=data, verbose=False)
    if trainer.is_global_zero:
        print(json.dumps({**{k: float(v) for k, v in trainer.callback_metrics.items()}, **tested}))
"""


@pytest.mark.slow
def test_two_processes_of_a_trainer_count_each_sample_once(tmp_path):

    script = tmp_path / "script.py"
    script.write_text(PROCESSES)
    results = []
    for devices, strategy in (("1", "auto"), ("2", "ddp")):
        ended = subprocess.run(
            [sys.executable, script, devices, strategy], cwd=tmp_path, capture_output=True, text=True, check=True,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"},
        )  # fmt: skip
        results.append(json.loads(ended.stdout.strip().splitlines()[-1]))
    assert results[1] == pytest.approx(results[0], rel=1e-4)  # sums of float32 in another order
