"""Workers that die, stop or are slow, and those for which there is no room."""

import multiprocessing
import os
import signal
import threading
import time
from types import SimpleNamespace

import pytest
import torch

from visionkit.data import workers as module
from visionkit.data.collate.base import BatchReader
from visionkit.data.dataset import FileDataset
from visionkit.data.loader import BatchLoader
from visionkit.data.sampler import BatchSampler
from visionkit.data.sources import read_source
from visionkit.data.transforms import InputTransform
from visionkit.data.workers import choose_num_workers, explain_dead_workers, plan_workers, watch_workers
from visionkit.errors import UserError


@pytest.fixture
def files(tmp_path, save_image):
    for index in range(12):
        save_image(tmp_path / f"{index}.png", size=(6, 7), seed=index)
    return FileDataset(tmp_path, [f"{index}.png" for index in range(12)], torch.arange(12), in_channels=3)


class _Reader(BatchReader):
    """Does something to its own process when it reads the batch of an image."""

    def __init__(self, *arguments, at=5, does, **options):
        super().__init__(*arguments, **options)
        self.at, self.does = at, does

    def read(self, batch_indices):
        if self.at in batch_indices[0].tolist():
            self.does()
        return super().read(batch_indices)


def _loader(files, monkeypatch, does, *, seconds=1.5, **options):
    monkeypatch.setattr(module, "POLL_SECONDS", seconds / 5)
    reader = _Reader(files, InputTransform((5, 5)), does=does)
    sampler = BatchSampler(len(files), 2, training=False, seed=0)
    return BatchLoader(reader, sampler, num_workers=2, split="val", **options)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
def test_a_worker_that_dies_ends_the_epoch_in_words(files, monkeypatch, number):
    loader = _loader(files, monkeypatch, lambda: os.kill(os.getpid(), number), seconds=20)
    start = time.monotonic()
    words = r"a worker process that reads the val split ended unexpectedly.*memory runs out.*Try: dataset.num_workers=0"
    with pytest.raises(UserError, match=words):
        list(loader)
    assert time.monotonic() - start < 10


def test_a_worker_that_stops_ends_the_epoch_in_words_and_is_gone(files, monkeypatch):
    loader = _loader(files, monkeypatch, lambda: os.kill(os.getpid(), signal.SIGSTOP))
    before = multiprocessing.active_children()
    with pytest.raises(UserError, match=r"val split have read no image for 1.5 seconds.*dataset.num_workers=0"):
        list(loader)
    until = time.monotonic() + 20
    while (left := set(multiprocessing.active_children()) - set(before)) and time.monotonic() < until:
        time.sleep(0.05)
    assert left == set()


def test_workers_that_stop_between_epochs_end_the_next_in_words(files, monkeypatch):
    loader = _loader(files, monkeypatch, lambda: None)
    assert [batch["index"].tolist() for batch in loader] == [[i, i + 1] for i in range(0, 12, 2)]
    for process in loader._workers._iterator._workers:
        os.kill(process.pid, signal.SIGSTOP)
    with pytest.raises(UserError, match=r"have read no image for 1\.5 seconds"):
        list(loader)


class _Loader:
    """Has workers that yield some batches, and then nothing until they are killed."""

    def __init__(self, batches=(), *, blocks=False):
        self.batches, self.blocks, self.num_begun = batches, blocks, 0
        self.killed = threading.Event()
        self._iterator = SimpleNamespace(_workers=[SimpleNamespace(kill=self.killed.set)])

    def __iter__(self):
        self.num_begun += 1
        return self._Batches(self)

    class _Batches:
        def __init__(self, loader):
            self.loader, self.left = loader, iter(loader.batches)

        def __len__(self):
            return 0

        def __next__(self):
            if self.loader.blocks:
                assert self.loader.killed.wait(10)
                raise RuntimeError("no worker is left")
            return next(self.left)


def _reader(progress):
    return SimpleNamespace(progress=torch.tensor([progress]))


def test_an_epoch_is_begun_once_whatever_length_its_iterator_says():
    loader = _Loader([{"index": 1}, {"index": 2}])
    assert list(watch_workers(loader, _reader(1), "val", starts_afresh=False)) == loader.batches
    assert loader.num_begun == 1


@pytest.mark.parametrize(("progress", "afresh", "seconds"), [(0, True, 0.12), (0, False, 0.05), (1, True, 0.05)])
def test_workers_of_new_processes_have_a_minute_to_start_and_no_more(monkeypatch, progress, afresh, seconds):
    """A poll takes 10 ms here, 5 s in a run: 60 s where a worker must import torch first, 25 s from then on."""
    monkeypatch.setattr(module, "POLL_SECONDS", 0.01)
    with pytest.raises(UserError, match=rf"val split have read no image for {seconds} seconds"):
        list(watch_workers(_Loader(blocks=True), _reader(progress), "val", starts_afresh=afresh))


@pytest.mark.parametrize("error", [EOFError(), ConnectionResetError("reset"), FileNotFoundError("socket")])
def test_a_worker_that_dies_while_it_hands_a_batch_over_has_words_and_other_errors_stay(monkeypatch, error):
    """Torch raises what the broken connection does, and not that the worker is gone."""

    def batches():
        yield {"index": 1}
        raise error

    monkeypatch.setattr(module, "_SECONDS_TO_END", 0.1)
    process = multiprocessing.get_context("fork").Process(target=time.sleep, args=(60,))
    process.start()
    try:
        loader = _Loader(batches())
        loader._iterator = SimpleNamespace(_workers=[process])
        with pytest.raises(type(error)):
            list(watch_workers(loader, _reader(1), "val", starts_afresh=False))
        process.kill()
        monkeypatch.setattr(module, "_SECONDS_TO_END", 20.0)
        loader.batches = batches()
        with pytest.raises(UserError, match=r"reads the val split ended unexpectedly \(Killed\)"):
            list(watch_workers(loader, _reader(1), "val", starts_afresh=False))
    finally:
        process.kill()


@pytest.mark.slow
def test_slow_images_are_waited_for_while_they_come(files, monkeypatch):
    """A batch takes three times as long as workers may read nothing."""
    original = FileDataset.fitted

    def slow(self, index, transform):
        time.sleep(1.5)
        return original(self, index, transform)

    monkeypatch.setattr(FileDataset, "fitted", slow)
    loader = _loader(files, monkeypatch, lambda: None, seconds=5)
    loader.sampler.local_batch_size = 4
    assert [len(batch["index"]) for batch in loader] == [4, 4, 4]


def test_a_death_that_torch_tells_while_the_model_computes_has_words_too():
    message = "DataLoader worker (pid 81) is killed by signal: Killed. "
    words = r"a worker process that reads images ended unexpectedly \(Killed\)"
    with pytest.raises(UserError, match=words), explain_dead_workers():
        raise RuntimeError(message)
    with pytest.raises(RuntimeError, match="shapes"), explain_dead_workers():
        raise RuntimeError("shapes do not fit")


def _plan(files, wanted, *, batch_size=4, **options):
    reader = BatchReader(files, InputTransform((512, 512)))
    sampler = BatchSampler(len(files), batch_size, training=False, seed=0)
    return plan_workers(reader, sampler, wanted=wanted, **{"processes": 1, "on_gpu": False, **options})


def test_batches_that_do_not_fit_into_shared_memory_are_read_without_workers(files, monkeypatch):
    """A batch of 4 images of 3x512x512 takes 3 MiB, those of 2 workers 18, of which twice as much is wanted free."""
    monkeypatch.setattr(module, "available_cores", lambda: 2)
    monkeypatch.setattr(module, "free_shared_memory", lambda: 35 << 20)
    plan = _plan(files, 2)
    assert plan.count == 0
    assert plan.notes[0].startswith("/dev/shm has 35 MiB free, too little for 18 MiB of batches of 2 worker processes")
    assert plan.notes[0].endswith("docker run --shm-size=8g")
    monkeypatch.setattr(module, "free_shared_memory", lambda: 37 << 20)
    assert _plan(files, 2) == module.Workers(2, ())
    assert _plan(files, 1, processes=3).count == 0
    monkeypatch.setattr(module, "free_shared_memory", lambda: None)
    assert _plan(files, 2, batch_size=8).count == 2


def test_more_workers_than_cores_are_said(files, monkeypatch):
    monkeypatch.setattr(module, "available_cores", lambda: 4)
    assert _plan(files, 4).notes == ()
    assert _plan(files, 4, processes=2).notes == (
        "dataset.num_workers: 4 worker processes compete for 2 processor cores. Try: dataset.num_workers=2",
    )


def test_none_are_planned_for_images_in_memory(files):
    reader = BatchReader(files, InputTransform((5, 5)))
    assert choose_num_workers(reader, cores=3, on_gpu=False) == 3
    assert _plan(files, 0) == module.Workers(0, ())


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (-1, "dataset.num_workers: expected a number from 0 to 1024, found -1"),
        (10**9, "dataset.num_workers: expected a number from 0 to 1024, found 1000000000"),
    ],
)
def test_a_number_of_workers_has_bounds(number, words):
    with pytest.raises(UserError, match=words):
        read_source({"type": "digits", "num_workers": number})
