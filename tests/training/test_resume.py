"""A run that is stopped anywhere goes on as if it had never been stopped."""

import copy
import os
import signal
import warnings
from types import SimpleNamespace

import lightning.pytorch as pl
import pytest
import torch

from tests.helpers.tiny_training import Batches, Fitted, TinyModel
from visionkit.data import VisionDataModule
from visionkit.data.sources import read_source
from visionkit.errors import UserError
from visionkit.runs.checkpoint_file import check_state, read_checkpoint
from visionkit.settings import EarlyStopping, Ema
from visionkit.training.callbacks import interrupt
from visionkit.training.callbacks.interrupt import Interrupted
from visionkit.training.resume import check_resumable, explain_restoring
from visionkit.training.trainer import quiet

EMA = Ema(decay=0.9, warmup=True)
BATCHES = 4  # of 300 images; 57 of the 1,257 wait for another epoch


class Seen(pl.Callback):
    """Keeps the positions of each training batch, and asks to stop at one hook in one epoch."""

    def __init__(self, hook=None, epoch=0, batch=0):
        self.hook, self.epoch, self.batch = hook, epoch, batch
        self.batches = []

    def _at(self, hook, trainer, batch=None):
        if hook == self.hook and trainer.current_epoch == self.epoch and batch in (None, self.batch):
            os.kill(os.getpid(), signal.SIGINT)

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        self.batches.append((trainer.current_epoch, batch_idx, batch["index"].tolist()))
        self._at("batch", trainer, batch_idx)

    def on_validation_batch_end(self, trainer, *_args):
        self._at("validation", trainer)

    def on_validation_epoch_end(self, trainer, pl_module):
        self._at("validation end", trainer)


def _module(workers=0):
    augment = {"affine": {"degrees": 20}}
    source = read_source({"type": "digits", "image_size": 6, "num_workers": workers, "augment": augment})
    module = VisionDataModule(source, batch_size=300, seed=0)
    module.setup("fit")
    return module


def _fit(path, seen, *, workers=0, **changes):
    module = _module(workers)
    if "model" not in changes:
        changes["model"] = TinyModel()
        changes["model"].linear = torch.nn.Linear(36, 10)
    return Fitted(
        path,
        train=module.train_dataloader(),
        val=module.val_dataloader(),
        class_names=module.info.class_names,
        callbacks=(seen,),
        **changes,
    )


def _interrupted_and_resumed(path, *stops, workers=0):
    """All batches, and the training that finished."""
    batches = []
    for number, stop in enumerate(stops):
        seen = Seen(*stop)
        with pytest.raises(Interrupted) as caught:
            _fit(path, seen, workers=workers, resume=number > 0).fit()
        assert caught.value.saved
        batches += seen.batches
    seen = Seen()
    fitted = _fit(path, seen, workers=workers, resume=True).fit()
    return batches + seen.batches, fitted


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    seen = Seen()
    _fit(tmp_path_factory.mktemp("whole"), seen).fit()
    return seen.batches


def test_an_uninterrupted_run_sees_full_batches_of_different_images_each_epoch(whole):
    assert [(epoch, batch) for epoch, batch, _ in whole] == [(e, b) for e in range(3) for b in range(BATCHES)]
    for epoch in range(3):
        assert len({i for e, _, batch in whole if e == epoch for i in batch}) == 300 * BATCHES


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize(
    "stops",
    [
        [("batch", 0, 0)],
        [("batch", 0, 2)],
        [("batch", 1, 1)],
        [("batch", 2, 3)],
        [("batch", 1, 1), ("batch", 1, 3), ("batch", 2, 0)],
        [("batch", 0, BATCHES - 1)],
        [("batch", 2, BATCHES - 1)],
        [("validation", 0)],
        [("validation", 1), ("batch", 2, 2)],
        [("validation end", 1)],
        [("validation end", 2)],
    ],
)
def test_the_batches_of_an_interrupted_run_are_those_of_a_whole_one(tmp_path, whole, stops, workers):
    if workers and len(stops) == 1 and stops[0][0] != "batch":
        pytest.skip("the same as without workers")
    batches, fitted = _interrupted_and_resumed(tmp_path, *stops, workers=workers)
    assert batches == whole
    assert fitted.trainer.global_step == 3 * BATCHES
    assert [row["epoch"] for row in fitted.folder.read_history()] == [1, 2, 3]


def _rest(rank, world_size, state):
    """The samples of one of some processes in the rest of an epoch, and their augmented images."""
    module = _module()
    module.trainer = SimpleNamespace(
        global_rank=rank, world_size=world_size, num_devices=world_size,
        strategy=SimpleNamespace(root_device=torch.device("cpu")),
    )  # fmt: skip
    loader = module.train_dataloader()
    loader.sampler.set_epoch(state["epoch"])
    loader.load_state_dict(state)
    return [(batch["index"], batch["images"]) for batch in loader]


def test_a_run_of_one_process_that_goes_on_in_two_has_the_same_samples_in_the_same_steps(tmp_path, whole):
    with pytest.raises(Interrupted):
        _fit(tmp_path, Seen("batch", 1, 1)).fit()
    content = torch.load(tmp_path / "checkpoints" / "last.ckpt", weights_only=True)
    (state,) = content["loops"]["fit_loop"]["state_dict"]["combined_loader"]
    assert state == {"epoch": 1, "batches": 2}
    rests = [_rest(rank, 2, state) for rank in range(2)]
    alone = _rest(0, 1, state)
    assert len(alone) == 2
    for step, (indices, images) in enumerate(alone):
        assert indices.tolist() == whole[BATCHES + 2 + step][2]
        shared = torch.stack([rest[step][0] for rest in rests], 1).flatten()
        assert torch.equal(shared, indices)
        assert torch.equal(torch.stack([rest[step][1] for rest in rests], 1).flatten(0, 1), images)


class _Dropping(TinyModel):
    """A model that draws."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(5)
        self.linear = torch.nn.Linear(36, 10)
        self.dropout = torch.nn.Dropout(0.5)

    def forward(self, images, image_sizes=None):
        return {"logits": self.linear(self.dropout(images.flatten(1).float() / 255))}


TIMES = {"seconds", "images_per_second", "data_wait", "data_share"}


def _rows(folder):
    return [{key: value for key, value in row.items() if key not in TIMES} for row in folder.read_history()]


@pytest.mark.parametrize("stops", [[("batch", 0, 2)], [("batch", 1, 1), ("batch", 1, 2)], [("validation", 1)]])
def test_a_resumed_run_is_the_whole_one_to_the_last_digit_also_where_the_model_draws(tmp_path, stops):
    whole = _fit(tmp_path / "whole", Seen(), model=_Dropping()).fit()
    for number, stop in enumerate(stops):
        with pytest.raises(Interrupted):
            _fit(tmp_path / "cut", Seen(*stop), model=_Dropping(), resume=number > 0).fit()
    _check_equal(_fit(tmp_path / "cut", Seen(), model=_Dropping(), resume=True).fit(), whole)


def _check_equal(cut, whole):
    assert _rows(cut.folder) == _rows(whole.folder)
    assert set(_rows(whole.folder)[0]) >= {"train/loss", "train/accuracy", "val/loss", "val/accuracy", "lr"}
    for name, value in whole.task.model.state_dict().items():
        assert torch.equal(value, cut.task.model.state_dict()[name])
    for file in ("last", "best"):
        one, other = (
            dict(_values(torch.load(fitted.folder.path / "checkpoints" / f"{file}.ckpt", weights_only=True)))
            for fitted in (cut, whole)
        )
        assert one.keys() == other.keys()
        assert [key for key in one if not _same(one[key], other[key])] == []


def _values(value, path=""):
    if not isinstance(value, dict | list | tuple):
        return [(path, value)]
    items = value.items() if isinstance(value, dict) else enumerate(value)
    return [pair for key, item in items for pair in _values(item, f"{path}.{key}")]


def _same(one, other):
    return torch.equal(one, other) if isinstance(one, torch.Tensor) else one == other


class Killed(BaseException):
    """What SIGKILL is to a run."""


class Kills(pl.Callback):
    """Ends the training before the optimizer step of a batch, with nothing saved."""

    def __init__(self, epoch, batch):
        self.moment, self.began = (epoch, batch), []

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        self.began.append((trainer.current_epoch, batch_idx))
        if (trainer.current_epoch, batch_idx) == self.moment:
            raise Killed

    def end(self, *_args):
        raise Killed


STOPPING = EarlyStopping(patience=2)


@pytest.mark.parametrize(
    ("changes", "kills", "begins"),
    [
        ({"checkpoint_every": "1 steps"}, [(0, 1), (1, 3), (2, 2)], [(0, 0), (0, 1), (1, 3)]),
        ({"checkpoint_every": "2 steps", "ema": EMA}, [(0, 3), (1, 3), (2, 3)], [(0, 0), (0, 2), (1, 2)]),
        ({"checkpoint_every": "1 steps", "accumulate": 2, "ema": EMA}, [(0, 3), (1, 2)], [(0, 0), (0, 2)]),
        ({"checkpoint_every": "3 steps", "early_stopping": STOPPING}, [(0, 3), (2, 2)], [(0, 0), (0, 3)]),
        ({"checkpoint_every": None, "ema": EMA}, [(1, 3)], [(0, 0)]),
    ],
)
def test_a_run_that_is_killed_between_two_saves_goes_on_from_the_last_one_and_ends_as_if_it_had_not_been(
    tmp_path, changes, kills, begins
):
    whole = _fit(tmp_path / "whole", Seen(), model=_Dropping(), **changes).fit()
    for number, moment in enumerate(kills):
        kill = Kills(*moment)
        with pytest.raises(Killed):
            _fit(tmp_path / "cut", kill, model=_Dropping(), resume=number > 0, **changes).fit()
        assert kill.began[0] == begins[number]
    _check_equal(_fit(tmp_path / "cut", Seen(), model=_Dropping(), resume=True, **changes).fit(), whole)


def test_a_run_that_had_stopped_early_when_it_was_killed_trains_no_other_epoch_unless_its_patience_has_grown(tmp_path):
    changes = {"model": _Dropping(), "epochs": 9, "lr": 1e-9}
    stopped = _fit(tmp_path, Seen(), early_stopping=STOPPING, **changes).fit()
    trained = len(stopped.recorder.history)
    assert trained < 9
    for patience, grows in ((2, False), (4, True)):
        changes["early_stopping"] = EarlyStopping(patience=patience)
        resumed = _fit(tmp_path, Seen(), resume=True, **changes).fit()
        assert (len(resumed.recorder.history) > trained) == grows


def test_a_stop_in_a_short_validation_keeps_the_row_of_its_epoch_and_its_best(tmp_path):
    stopped = _fit(tmp_path, Seen("validation", 1), lr=1e-9)
    with pytest.raises(Interrupted) as caught:
        stopped.fit()
    assert caught.value.all_processes
    assert [row["epoch"] for row in stopped.folder.read_history()] == [1, 2]
    assert torch.load(stopped.folder.best_checkpoint, weights_only=True)["epoch"] == 0
    assert torch.load(stopped.folder.last_checkpoint, weights_only=True)["global_step"] == 2 * BATCHES


@pytest.mark.parametrize("long", [False, True], ids=["a validation whose length is not known", "a long one"])
def test_a_signal_in_a_long_validation_stops_it_at_once_and_it_is_repeated_as_a_whole(tmp_path, monkeypatch, long):
    whole = _fit(tmp_path / "whole", Seen(), model=_Dropping(), ema=EMA).fit()
    monkeypatch.setattr(interrupt, "LONG_VALIDATION_SECONDS", 0.0 if long else 1e9)
    epoch = 1 if long else 0
    stopped = _fit(tmp_path / "cut", Seen("validation", epoch), model=_Dropping(), ema=EMA)
    with pytest.raises(Interrupted) as caught:
        stopped.fit()
    assert (caught.value.saved, caught.value.all_processes) == (True, False)
    assert len(stopped.folder.read_history()) == epoch
    saved = torch.load(stopped.folder.last_checkpoint, weights_only=True)
    assert saved["global_step"] == (epoch + 1) * BATCHES
    again = Seen()
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        resumed = _fit(tmp_path / "cut", again, model=_Dropping(), ema=EMA, resume=True).fit()
    assert again.batches[0][:2] == (epoch + 1, 0)
    _check_equal(resumed, whole)


def test_a_stop_in_the_last_batch_of_an_epoch_is_saved_before_its_validation(tmp_path):
    stopped = _fit(tmp_path, Seen("batch", 0, BATCHES - 1))
    with pytest.raises(Interrupted) as caught:
        stopped.fit()
    assert (caught.value.saved, caught.value.all_processes) == (True, True)
    assert stopped.folder.read_history() == []


def test_with_checkpoint_every_the_last_step_of_an_epoch_is_saved_before_its_validation(tmp_path):
    kill = Kills(0, -1)
    kill.on_validation_batch_start = kill.end
    with pytest.raises(Killed):
        _fit(tmp_path, kill, checkpoint_every="2 steps").fit()
    assert torch.load(tmp_path / "checkpoints" / "last.ckpt", weights_only=True)["global_step"] == BATCHES


def test_the_best_checkpoint_is_written_before_the_last_one_tells_of_it(tmp_path, monkeypatch):
    fitted = Fitted(tmp_path, epochs=1, train=Batches(48))
    written = []
    save = fitted.trainer.save_checkpoint
    monkeypatch.setattr(fitted.trainer, "save_checkpoint", lambda path: (written.append(path.name), save(path)))
    fitted.fit()
    assert written[1:] == ["best.ckpt", "last.ckpt"]  # the first is that before the validation


def test_a_finished_run_that_is_resumed_knows_its_history_and_trains_nothing(tmp_path):
    first = Fitted(tmp_path, epochs=2).fit()
    again = Fitted(tmp_path, epochs=2, resume=True).fit()
    assert again.recorder.history == first.folder.read_history()
    assert again.recorder.best_epoch == first.recorder.best_epoch
    assert again.trainer.global_step == 12


def _paths(value, path=()):
    """The way to each value of nested mappings and lists, but for weights, settings and numbers of no consequence."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield (*path, key)
        yield from _paths(item, (*path, key))


STATE = ("callbacks", "loops", "optimizer_states", "lr_schedulers", "pytorch-lightning_version", "epoch", "global_step")


@pytest.fixture(scope="module")
def cut(tmp_path_factory):
    """The folder of a run that was cut within an epoch, and its checkpoint."""
    path = tmp_path_factory.mktemp("cut")
    with pytest.raises(Interrupted):
        _fit(path, Seen("batch", 1, 1)).fit()
    return path, torch.load(path / "checkpoints" / "last.ckpt", weights_only=True)


@pytest.mark.parametrize("key", [key for key in STATE if key != "lr_schedulers"])  # we have none of Lightning's
@pytest.mark.parametrize("change", ["left out", "a word", "none", "a list"])
def test_a_state_of_training_that_is_not_that_of_the_run_is_told_in_words(cut, key, change):
    path, content = cut
    changed = {name: value for name, value in content.items() if name != key}
    if change != "left out":
        changed[key] = {"a word": "x", "none": None, "a list": [[1, 2], 3]}[change]
    file = path / "changed.ckpt"
    torch.save(changed, file)
    fitted = _fit(path, Seen())
    with pytest.raises(UserError, match=r"resume: '.*changed.ckpt' (is no checkpoint|does not hold the state)"):
        _go_on(fitted, file)


@pytest.mark.parametrize("change", ["left out", "a word", "none"])
def test_no_part_of_the_state_makes_a_fault_of_ours(cut, change):
    """Whatever is wrong with one value: it is refused, or it is of no consequence."""
    path, content = cut
    paths = [way for key in ("callbacks", "loops") for way in _paths(content[key], (key,))]
    file, refused = path / "changed.ckpt", 0
    for way in paths[:: max(1, len(paths) // 10)]:
        changed = copy.deepcopy(content)
        parent = changed
        for key in way[:-1]:
            parent = parent[key]
        if change == "left out":
            del parent[way[-1]]
        else:
            parent[way[-1]] = "x" if change == "a word" else None
        torch.save(changed, file)
        try:
            _go_on(_fit(path, Seen("batch", 1, 2)), file)
        except UserError:
            refused += 1
        except Interrupted:
            pass
    assert refused


def _go_on(fitted, file):
    check_state(read_checkpoint(file, where="resume"), fitted.task.model.state_dict())
    with explain_restoring(file), quiet(), fitted.interrupt:
        fitted.trainer.fit(fitted.task, train_dataloaders=fitted.train, val_dataloaders=fitted.val, ckpt_path=str(file))


def test_a_finished_run_that_trains_on_is_unfinished_until_it_is_done(tmp_path):
    Fitted(tmp_path, epochs=1).fit()
    folder = Fitted(tmp_path, epochs=1, resume=True).folder
    folder.metrics_file.write_text("{}")
    folder.weights_file.write_bytes(b"of epoch 1")
    Fitted(tmp_path, epochs=1, resume=True).fit()
    assert (folder.metrics_file.exists(), folder.weights_file.exists()) == (True, True)
    Fitted(tmp_path, epochs=2, resume=True).fit()
    assert (folder.metrics_file.exists(), folder.weights_file.exists()) == (False, False)


@pytest.mark.parametrize("content", [None, "epoch,step\n1,6\n"])
def test_epochs_without_a_row_are_refused(tmp_path, content):
    folder = Fitted(tmp_path, epochs=2).fit().folder
    if content is None:
        folder.history_file.unlink()
    else:
        folder.history_file.write_text(content)
    rows = 0 if content is None else 1
    with pytest.raises(UserError, match=rf"metrics.csv' has rows of {rows} epochs, and the checkpoint has 2 behind"):
        Fitted(tmp_path, epochs=3, resume=True).fit()


def test_without_its_best_checkpoint_a_run_looks_for_the_best_of_the_epochs_to_come(tmp_path):
    first = Fitted(tmp_path, epochs=2).fit()
    first.folder.best_checkpoint.unlink()
    again = Fitted(tmp_path, epochs=3, resume=True).fit()
    assert again.recorder.best_epoch == 3
    assert torch.load(again.folder.best_checkpoint, weights_only=True)["epoch"] == 2


@pytest.mark.parametrize("state", [{"best_score": "a", "best_epoch": 1}, {"best_score": float("nan"), "best_epoch": 1}])
def test_a_best_score_that_is_none_is_refused(tmp_path, state):
    recorder = Fitted(tmp_path, epochs=1).recorder
    with pytest.raises(ValueError, match="best_score"):
        recorder.load_state_dict(state)


def test_a_damaged_best_checkpoint_is_told_before_the_first_step(tmp_path):
    fitted = Fitted(tmp_path, epochs=1).fit()
    fitted.folder.best_checkpoint.write_bytes(fitted.folder.best_checkpoint.read_bytes()[:1000])
    with pytest.raises(UserError, match=r"best.ckpt' is damaged.*or remove it"):
        check_resumable(SimpleNamespace(recipe=fitted.recipe), fitted.folder)
