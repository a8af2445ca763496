"""`find_batch` bounds its search by data and memory, on devices that are not there."""

from types import SimpleNamespace

import pytest
import torch

import visionkit as vk
from visionkit.cli.keywords import parse_call
from visionkit.cli.verb_configs import compose_finder
from visionkit.console import Printer
from visionkit.runs.config import RunConfig
from visionkit.training.finders import batch_search
from visionkit.training.finders import find_batch as module
from visionkit.training.finders.batch_search import StepCost
from visionkit.training.finders.memory import StepMemory
from visionkit.training.finders.options import BatchOptions


@pytest.fixture(scope="module")
def config():
    plain, _ = compose_finder(parse_call("find", ("backbone=lenet", "recipe.batch_size=64"), {}), ())
    return RunConfig.from_plain(plain)


class FakeSteps:
    """Steps of a device with so much memory, on a data set of so many images; ten images a second, and no faster."""

    memory, images, accelerator, measured = 10_000_000, 1000, "cuda", []
    image_bytes = 30_000

    def __init__(self, config, *, accelerator, seconds):
        self.datamodule = SimpleNamespace(sizes={"train": self.images}, info=config.source.info())
        self.pixels = 0
        FakeSteps.measured = []

    def measure(self, size):
        self.measured.append(size)
        if size * self.image_bytes > self.memory:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return StepCost(size, 0.1 * size, size * self.image_bytes if self.accelerator == "cuda" else None)

    def read_batch(self, size):
        return {"images": torch.zeros(size, 1, 32, 32, dtype=torch.uint8)}


@pytest.fixture
def device(monkeypatch):
    """Install a device: its kind, its memory, how many of it there are, and the number of training images."""

    def install(kind, *, memory, devices=1, images=1000, free=None):
        for name, value in (("memory", memory), ("images", images), ("accelerator", kind)):
            monkeypatch.setattr(FakeSteps, name, value)
        monkeypatch.setattr(module, "TrainingSteps", FakeSteps)
        monkeypatch.setattr(batch_search.gc, "collect", lambda: 0)  # which takes longer than the search
        monkeypatch.setattr(module, "plan_single_process", lambda config, subject: (config, kind, devices))
        monkeypatch.setattr(module, "free_device_memory", lambda kind: memory if free is None else free)
        monkeypatch.setattr(module, "device_name", lambda kind: "a device")

    return install


def find(config, **options):
    return module.find_batch(config, BatchOptions(**options), printer=Printer.silent())


def test_on_a_gpu_it_is_the_largest_that_leaves_a_twentieth_free(config, device):
    device("cuda", memory=30_000 * 200)
    found = find(config, largest=1000)
    assert found.by == "memory"
    assert 190 * 7 / 8 <= found.suggestion <= 190
    assert max(FakeSteps.measured) <= 2 * found.suggestion
    assert "GPU's memory" in found.ended_by


def test_the_first_guess_is_the_arithmetic_of_inspect(config, device):
    device("cuda", memory=10**9)
    find(config, largest=1000)
    one, two = (StepMemory(config, config.source.info()).estimate(size) for size in (1, 2))
    expected = (0.95 * 10**9 - (2 * one - two)) / (two - one)
    assert FakeSteps.measured[0] == min(1000, 2 ** (int(expected).bit_length() - 1))
    total = vk.inspect(backbone="lenet", num_classes=10).totals.peak_training_memory
    assert two - one == total


def test_several_gpus_share_the_batch(config, device):
    device("cuda", memory=30_000 * 200, devices=4, images=100_000)
    found = find(config, largest=10_000)
    assert 4 * 190 * 7 / 8 <= found.suggestion <= 4 * 190
    assert f"{found.suggestion // 4} on each of 4 devices" in found.lines()[0]


def test_on_a_cpu_it_is_the_smallest_that_is_as_fast_as_any(config, device):
    device("cpu", memory=10**12)
    found = find(config)
    assert (found.by, found.suggestion, FakeSteps.measured) == ("speed", 1, [1, 2, 4])


def test_on_a_cpu_no_size_is_tried_that_memory_is_too_small_for(config, device, monkeypatch):
    one = StepMemory(config, config.source.info()).estimate(1)
    device("cpu", memory=10**12, free=2 * one)
    monkeypatch.setattr(FakeSteps, "measure", lambda self, size: FakeSteps.measured.append(size) or StepCost(size, 0.1))
    found = find(config)
    sizes = [cost.size for cost in found.costs]
    needed = [StepMemory(config, config.source.info()).estimate(size) for size in (*sizes, 2 * sizes[-1])]
    assert needed[-2] <= 1.6 * one < needed[-1]
    assert f"a batch of {2 * sizes[-1]} would take" in found.ended_by


def test_a_batch_leaves_ten_steps_in_an_epoch_unless_more_is_asked_for(config, device):
    device("cuda", memory=10**9, images=207)
    assert find(config).suggestion == 20
    assert "keeps 10 steps" in find(config).ended_by
    device("cuda", memory=10**9, images=30)
    assert find(config).suggestion == 8
    device("cuda", memory=10**9, images=207)
    assert (find(config, largest=64).suggestion, find(config, largest=64).ended_by) == (64, "largest=64 was typed")
    assert find(config, largest=5000).ended_by == "there are 207 training images"


def test_where_nothing_fits_the_message_says_what_to_try(config, device):
    device("cuda", memory=100)
    with pytest.raises(vk.UserError, match=r"no batch of this network fits.*dataset\.image_size.*precision=bf16"):
        find(config)


def test_the_rate_that_goes_with_another_batch_is_in_proportion(config, device):
    device("cuda", memory=10**9, images=1280)
    found = find(config)
    assert (found.suggestion, found.scaled_lr) == (128, pytest.approx(0.1))
    assert "recipe.lr=0.1; or measure it: find lr recipe.batch_size=128" in found.lines()[1]
    assert found.to_json()["sizes"][0]["estimated_bytes"] > 0


def test_images_larger_than_the_data_set_says_take_more(config):
    memory = StepMemory(config, config.source.info())
    assert memory.estimate(1000, pixels=4 * 32 * 32) == pytest.approx(4 * memory.estimate(1000), rel=0.02)


@pytest.mark.slow
def test_steps_are_measured_on_real_batches_and_nothing_is_written(in_empty_folder):
    state = torch.get_rng_state()
    found = vk.find_batch(backbone="lenet", hardware="cpu", largest=4, seconds=0.001, progress=False)
    assert [cost.size for cost in found.costs] == [1, 2, 4]
    assert all(0 < cost.seconds < 5 for cost in found.costs)
    assert found.suggestion in (1, 2, 4)
    assert list(in_empty_folder.iterdir()) == []
    assert torch.equal(torch.get_rng_state(), state)
