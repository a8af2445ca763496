"""How often the display of a training is updated."""

from types import SimpleNamespace

import pytest
import torch

from visionkit.training.callbacks.progress import Progress


class _Display:
    """Each update takes some seconds of a clock that steps move on."""

    def __init__(self, seconds):
        self.seconds, self.now, self.updates = seconds, 0.0, []

    def start_epoch(self, epoch, batches):
        pass

    def update(self, batches, **figures):
        self.updates.append(batches)
        self.now += self.seconds


@pytest.mark.parametrize(("seconds", "updates"), [(0.0, 40), (0.001, 40), (0.005, 10), (0.1, 5)])
def test_updates_come_four_times_a_second_unless_they_take_too_much_of_it(seconds, updates):
    """Ten seconds of steps of 10 ms; 5 ms per update are half a percent of one second. Two seconds are the most."""
    display = _Display(seconds)
    progress = Progress(display)
    progress._clock = lambda: display.now
    trainer = SimpleNamespace(current_epoch=0, num_training_batches=1000, world_size=1)
    task = SimpleNamespace(losses={"train": SimpleNamespace(last=torch.tensor(1.0))})
    batch = {"images": torch.zeros(2, 1)}
    progress.on_train_epoch_start(trainer, task)
    for index in range(1000):
        progress.on_train_batch_start(trainer, task, batch, index)
        display.now += 0.01
        progress.on_train_batch_end(trainer, task, None, batch, index)
    assert len(display.updates) == pytest.approx(updates, abs=2)
