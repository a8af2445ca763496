"""The verbs of Python do what the commands do, to the last bit."""

import errno
import json
import os
import pickle
import shutil
import signal
import sys
import threading

import pytest
import torch

import visionkit as vk
from tests.helpers.pictures import blank_pictures
from tests.helpers.shared_runs import TRAINED
from visionkit.cli.main import main

SHORT = {
    "classify": {"task": "classify", "backbone": "lenet", "recipe": {"epochs": 1}, "debug": "fast", "hardware": "cpu"},
    "detect": {"task": "detect", "dataset": {"image_size": 64}, "debug": "fast", "hardware": "cpu"},
    "segment": {
        "task": "segment", "head": {"channels": (16, 16)}, "dataset": {"image_size": 64}, "debug": "fast",
        "hardware": "cpu",
    },
    "instance": {"task": "instance", "dataset": {"image_size": (64, 64)}, "debug": "fast", "hardware": "cpu"},
}  # fmt: skip
TYPED = {
    "classify": ["task=classify", "backbone=lenet", "recipe.epochs=1", "debug=fast", "hardware=cpu"],
    "detect": ["task=detect", "dataset.image_size=64", "debug=fast", "hardware=cpu"],
    "segment": ["task=segment", "head.channels=[16,16]", "dataset.image_size=64", "debug=fast", "hardware=cpu"],
    "instance": ["task=instance", "dataset.image_size=[64,64]", "debug=fast", "hardware=cpu"],
}
SECONDS = ("training_seconds", "seconds", "images_per_second", "data_wait")


@pytest.fixture(autouse=True)
def _blank():
    with blank_pictures():
        yield


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A short run that several tests look at."""
    with blank_pictures():
        return vk.train(
            backbone="lenet",
            debug="fast",
            hardware="cpu",
            progress=False,
            run_dir=tmp_path_factory.mktemp("runs") / "a",
        )


def _same(first, second):
    """Assert that two run folders hold the same, but for times and their own paths."""
    for name in ("model.safetensors", "data.json", "confusion_matrix.csv", "per_class.csv"):
        assert (first / name).exists() == (second / name).exists()
        if (first / name).exists():
            assert (first / name).read_bytes() == (second / name).read_bytes(), name
    one, two = vk.Run(first), vk.Run(second)
    assert one.config | {"run_dir": None} == two.config | {"run_dir": None}
    assert _timeless(one.metrics) == _timeless(two.metrics)
    assert [*map(_timeless, one.history)] == [*map(_timeless, two.history)]


def _timeless(numbers):
    return {name: value for name, value in numbers.items() if name not in SECONDS}


@pytest.mark.parametrize(
    "task", ["classify", *(pytest.param(task, marks=pytest.mark.slow) for task in ("detect", "segment", "instance"))]
)
def test_a_training_is_that_of_the_command(task, tmp_path, capsys):
    assert main([*TYPED[task], f"run_dir={tmp_path / 'typed'}"]) == 0
    capsys.readouterr()
    run = vk.train(**SHORT[task], run_dir=tmp_path / "called", progress=False)
    assert run.path == tmp_path / "called"
    assert capsys.readouterr().out == ""
    assert (run.path / "log.txt").read_text().count("\n") > 5
    _same(tmp_path / "typed", run.path)


@pytest.mark.parametrize("task", TRAINED)
def test_an_evaluation_is_that_of_the_command(task, shared_runs, capsys):
    folder = shared_runs.of(task)
    capsys.readouterr()
    assert main(["evaluate", f"run={folder}", "split=val", "format=json"]) == 0
    document = json.loads(capsys.readouterr().out)
    evaluation = vk.evaluate(vk.Run(folder), split="val")
    assert capsys.readouterr().out == ""
    assert (evaluation.split, evaluation.scalars) == (document["split"], document["metrics"])


@pytest.mark.parametrize("task", TRAINED)
def test_predictions_are_those_of_the_command(task, shared_runs, tmp_path, capsys):
    import numpy
    from PIL import Image

    folder, draw = shared_runs.of(task), numpy.random.default_rng(0)
    (tmp_path / "photos").mkdir()
    for number, size in enumerate([(40, 30), (64, 64)]):
        Image.fromarray(draw.integers(0, 256, size, numpy.uint8)).save(tmp_path / "photos" / f"{number}.png")
    capsys.readouterr()
    words = [f"source={tmp_path / 'photos'}", f"out={tmp_path / 'out'}", "draw=false", "format=json"]
    assert main(["predict", f"run={folder}", *words]) == 0
    typed = json.loads(capsys.readouterr().out)["predictions"]
    called = vk.load(folder).predict(tmp_path / "photos")
    if task == "classify":
        assert typed == [prediction.to_dict() for prediction in called]
    elif task == "segment":
        assert [row["pixels"] for row in typed] == [prediction.pixels for prediction in called]
    else:
        ids = [next(row["image_id"] for row in typed if row["file_name"] == str(each.path)) for each in called]
        expected = [row for each, i in zip(called, ids, strict=True) for row in each.to_coco(image_id=i)]
        assert typed == json.loads(json.dumps(expected))
    for prediction in called:
        assert json.loads(json.dumps(prediction.to_dict()))["file"] == str(prediction.path)


def test_an_evaluation_may_differ_from_the_run_in_what_the_command_allows(run):
    assert vk.evaluate(run, recipe={"batch_size": 7}).scalars == pytest.approx(vk.evaluate(run).scalars, rel=1e-5)
    with pytest.raises(vk.UserError, match=r"evaluate takes a run as it is, and 'recipe\.lr' would change it"):
        vk.evaluate(run, recipe={"lr": 1})
    with pytest.raises(vk.UserError, match="split: expected train, val or test, found 'tset'"):
        vk.evaluate(run, split="tset")


@pytest.mark.parametrize(
    "words", [["backbone=lenet", "num_classes=10"], ["task=detect", "backbone=resnet18", "depth=1"]]
)
def test_an_inspection_is_that_of_the_command(words, capsys):
    assert main(["inspect", *words, "format=json"]) == 0
    assert vk.inspect(*words).to_json() == json.loads(capsys.readouterr().out)


def test_several_backbones_are_a_list_of_inspections():
    small, large = vk.inspect(backbone=["lenet", "resnet18"], num_classes=10)
    assert repr(small) == "Inspection(lenet, 1x32x32, 10 layers, 61,706 parameters)"
    assert large.totals.parameters > small.totals.parameters


@pytest.mark.slow
def test_a_sweep_is_that_of_the_command(tmp_path, capsys):
    words = ["backbone=lenet", "debug=fast", "hardware=cpu"]
    assert main(["-m", *words, "seed=0,1", f"run_dir={tmp_path / 'typed'}"]) == 0
    capsys.readouterr()
    sweep = vk.sweep(*words, seed=[0, 1], run_dir=tmp_path / "called", progress=False)
    assert capsys.readouterr().out == ""
    assert repr(sweep) == f"Sweep('{tmp_path / 'called'}', 2 of 2 runs done)"
    for number, run in enumerate(sweep.runs):
        _same(tmp_path / "typed" / str(number), run.path)
    assert sweep.best.path == max(sweep.runs, key=lambda run: run.metrics["val/accuracy"]).path


def test_a_run_gives_what_its_files_hold(run):
    assert run.is_finished
    assert run.metrics == json.loads((run.path / "metrics.json").read_text())
    assert [row["epoch"] for row in run.history] == [1.0]
    assert run.config["backbone"]["name"] == "lenet"
    assert run.tables == ["confusion_matrix", "per_class"]
    rows = run.table("per_class")
    assert [row["class"] for row in rows] == [str(digit) for digit in range(10)]
    assert sum(row["correct"] for row in rows) == round(
        run.metrics["test/accuracy"] * sum(row["images"] for row in rows)
    )
    assert run.plots["curves"] == run.path / "plots" / "curves.png"
    assert os.fspath(run) == str(run.path)
    assert repr(run) == f"Run('{run.path}')"


def test_a_run_shows_its_numbers_and_curves_in_a_notebook(run):
    page = run._repr_html_()
    assert f"<td>{run.metrics['test/accuracy']:.4f}</td>" in page
    assert "<img alt='curves of the run' src='data:image/png;base64," in page


def test_a_table_that_is_not_there_is_named_with_those_that_are(run):
    with pytest.raises(vk.UserError, match=r"no table 'per_clas'. Did you mean 'per_class'\? It has: confusion_matrix"):
        run.table("per_clas")


def test_a_metric_and_a_picture_that_are_not_there_are_named_with_those_that_are(run):
    with pytest.raises(vk.UserError, match=r"no metric 'test/Accuracy'. Did you mean 'test/accuracy'\? It has:"):
        run.metrics["test/Accuracy"]
    with pytest.raises(vk.UserError, match=r"no picture 'loss'.* It has: confusion_matrix, curves"):
        run.plots["loss"]
    assert run.metrics.get("test/Accuracy") is None
    assert pickle.loads(pickle.dumps(run.metrics)) == dict(run.metrics)


def test_a_run_that_is_no_run_is_an_error(tmp_path):
    with pytest.raises(vk.UserError, match="is no run folder: there is no such folder"):
        vk.Run(tmp_path / "none")
    with pytest.raises(vk.UserError, match="evaluate: found a int, expected the folder of a run"):
        vk.evaluate(3)
    with pytest.raises(vk.UserError, match=r"a{90}.*file name too long. Expected a shorter name or path"):
        vk.Run("a" * 5000)


@pytest.mark.parametrize("verb", ["train", "build", "sweep"])
def test_an_error_of_the_system_is_a_user_error(tmp_path, monkeypatch, verb):
    def full(*arguments, **keywords):
        raise OSError(errno.ENOSPC, "", str(tmp_path / "file"))

    monkeypatch.setattr("visionkit.cli.keywords.call_words", full)
    with pytest.raises(vk.UserError, match=r"file': no space left on device. Make room") as caught:
        getattr(vk, verb)("backbone=lenet")
    assert isinstance(caught.value.__cause__, OSError)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda run: vk.load(run, plugins="nope"), r"plugins: found \"nope\". Expected the names of modules"),
        (lambda run: vk.load(run, plugins=[3]), r"plugins: found \[3\]. Expected the names"),
        (lambda run: vk.load(run, plugins=None), r"plugins: found nothing \(null\). Expected the names"),
        (lambda run: vk.load(run, device="cuda:0"), r"^device: expected .*found \"cuda:0\". Try: device='gpu'"),
        (lambda run: vk.load(run, precision=torch.half), r"^precision: expected '32'.*found \"torch.float16\""),
        (lambda run: vk.load(run).predict(_image()).top("a"), 'top: found "a", expected a number of classes'),
        (lambda run: vk.load(run).predict(_image()).save(None), "save: found nothing.*Expected a file"),
    ],
)
def test_an_argument_of_another_kind_is_a_user_error(run, wrong, message):
    with pytest.raises(vk.UserError, match=message):
        wrong(run)


def test_a_plugin_that_is_named_is_imported_and_an_unnamed_one_of_the_run_is_not(run, tmp_path, monkeypatch):
    from tests.helpers.plugins import plugins_forgotten

    (tmp_path / "named_plugin.py").write_text("LOADED = True")
    copy = shutil.copytree(run.path, tmp_path / "run")
    config = (copy / "config.yaml").read_text()
    (copy / "config.yaml").write_text(config.replace("plugins: []", "plugins: [named_plugin]"))
    monkeypatch.chdir(tmp_path)
    with plugins_forgotten(tmp_path):
        with pytest.raises(vk.UserError, match=r"was made with plugins \['named_plugin'\]"):
            vk.load(copy)
        assert "named_plugin" not in sys.modules
        assert vk.load(copy, plugins=["named_plugin"]).predict(_image()).label
        assert "named_plugin" in sys.modules


def _image():
    import numpy

    return numpy.zeros((28, 28), numpy.uint8)


def test_a_run_is_repeated_by_its_object(run, tmp_path):
    again = vk.train(run=run, run_dir=tmp_path / "again", progress=False)
    _same(run.path, again.path)


def test_the_random_states_and_settings_of_the_caller_stay(run, tmp_path):
    import random
    import warnings

    import numpy

    random.seed(1), numpy.random.seed(2), torch.manual_seed(3)
    before = (random.getstate(), numpy.random.get_state()[1].tolist(), torch.get_rng_state().tolist())
    environment, handlers, filters = dict(os.environ), signal.getsignal(signal.SIGINT), list(warnings.filters)
    vk.train(run=run, run_dir=tmp_path / "again", progress=False)
    vk.evaluate(run)
    assert (random.getstate(), numpy.random.get_state()[1].tolist(), torch.get_rng_state().tolist()) == before
    assert (dict(os.environ), signal.getsignal(signal.SIGINT)) == (environment, handlers)
    assert list(warnings.filters) == filters


def test_a_training_in_another_thread_works(run, tmp_path):
    results = []
    thread = threading.Thread(
        target=lambda: results.append(vk.train(run=run, run_dir=tmp_path / "again", progress=False))
    )
    thread.start()
    thread.join()
    _same(run.path, results[0].path)


def test_a_callback_of_the_caller_sees_the_training(run, tmp_path):
    import lightning.pytorch as pl

    class Count(pl.Callback):
        batches = 0

        def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
            self.batches += 1

    count = Count()
    again = vk.train(run=run, run_dir=tmp_path / "again", callbacks=[count], progress=False)
    assert count.batches == again.history[-1]["step"] > 0


def test_ctrl_c_leaves_a_checkpoint_and_is_raised(run, tmp_path):
    import lightning.pytorch as pl

    class Interrupt(pl.Callback):
        def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        vk.train(run=run, run_dir=tmp_path / "cut", callbacks=[Interrupt()], progress=False)
    cut = vk.Run(tmp_path / "cut")
    assert not cut.is_finished
    with pytest.raises(vk.UserError, match=r"has not been trained to its end.*visionkit\.train\(run="):
        cut.metrics  # noqa: B018
    resumed = vk.train(run=cut, resume=True, progress=False)
    _same(run.path, resumed.path)


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"recipe": {"epocs": 1}}, "recipe: unknown key 'epocs'. Did you mean 'epochs'?"),
        ({"backbne": "lenet"}, "unknown key 'backbne'. Did you mean 'backbone'?"),
        ({"backbone": "lenett"}, "no backbone is called 'lenett'. Did you mean 'lenet'?"),
        ({"resume": True}, "resume=true continues a run: say which"),
        ({"dataset": {"type": "folder", "root": "none"}}, "none"),
        ({"config_dir": "none"}, "config_dir: there is no folder 'none'"),
    ],
)
def test_a_mistake_is_raised_and_not_printed(keywords, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(vk.UserError) as error:
        vk.train(**keywords)
    assert message in str(error.value)
    assert capsys.readouterr() == ("", "")
    assert list(tmp_path.iterdir()) == []


def test_the_public_face_is_what_was_decided():
    from tools.write_api import FILE, public_face

    changed = "a change of the public face is a decision: python tools/write_api.py"
    assert public_face() == json.loads(FILE.read_text()), changed


@pytest.mark.slow
def test_two_processes_are_those_of_the_command(tmp_path):
    hardware = {"accelerator": "cpu", "devices": 2}
    words = ["backbone=lenet", "debug=fast", "hardware.accelerator=cpu", "hardware.devices=2"]
    assert main([*words, f"run_dir={tmp_path / 'typed'}"]) == 0
    run = vk.train(backbone="lenet", debug="fast", hardware=hardware, run_dir=tmp_path / "called", progress=False)
    _same(tmp_path / "typed", run.path)
    evaluation = vk.evaluate(run)
    tested = {name: value for name, value in run.metrics.items() if name.startswith("test/")}
    assert evaluation.scalars == pytest.approx(tested, rel=1e-6)
    assert set(evaluation.tables) == {"per_class", "confusion_matrix"}


def test_weights_beside_those_of_the_run_are_loaded_and_not_taken_for_the_run(run, tmp_path):
    folder = shutil.copytree(run.path, tmp_path / "copy")
    (folder / "model.safetensors").rename(folder / "other.safetensors")
    assert vk.load(folder / "other.safetensors").path == folder
    with pytest.raises(
        vk.UserError, match=r"evaluate: '.*other\.safetensors' is not the model\.safetensors of its run"
    ):
        vk.evaluate(folder / "other.safetensors")


def test_a_program_that_composes_with_hydra_itself_may_train(run, tmp_path):
    import hydra
    from hydra.core.global_hydra import GlobalHydra

    with hydra.initialize(config_path=None, version_base="1.3"):
        callers = GlobalHydra.instance().hydra
        assert callers is not None
        assert vk.inspect(backbone="lenet", num_classes=10).totals.parameters == 61706
        assert GlobalHydra.instance().hydra is callers
    assert GlobalHydra.instance().hydra is None


def test_two_trainings_at_once_in_one_process_are_refused(run):
    from visionkit.training.caller_state import keep_caller_state

    errors = []

    def evaluate():
        try:
            vk.evaluate(run)
        except vk.UserError as error:
            errors.append(str(error))

    with keep_caller_state():
        thread = threading.Thread(target=evaluate)
        thread.start()
        thread.join()
    assert len(errors) == 1
    assert errors[0].startswith("another thread of this process trains or evaluates")


def test_an_interrupt_of_a_callback_stays_one(run, tmp_path):
    import lightning.pytorch as pl

    class Stop(pl.Callback):
        def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        vk.train(run=run, run_dir=tmp_path / "cut", callbacks=[Stop()], progress=False)


def test_loading_leaves_the_random_states(run):
    state = torch.get_rng_state()
    vk.load(run)
    assert torch.equal(torch.get_rng_state(), state)


def test_a_notebook_shows_no_file_that_is_no_picture_and_says_what_is_damaged(run, tmp_path):
    folder = shutil.copytree(run.path, tmp_path / "copy")
    curves = folder / "plots" / "curves.png"
    curves.unlink()
    curves.symlink_to("/etc/hostname")
    assert "<img" not in vk.Run(folder)._repr_html_()
    curves.unlink()
    curves.write_bytes(b"<script>")
    assert "<img" not in vk.Run(folder)._repr_html_()
    curves.unlink()
    curves.mkdir()
    assert "curves" not in vk.Run(folder).plots
    (folder / "metrics.json").write_text("[<script>]")
    page = vk.Run(folder)._repr_html_()
    assert "metrics.json" in page
    assert "<script>" not in page


@pytest.mark.parametrize("content", ["\n\n", "class,class\na,b\n", "class,images\n", "class,images\ncat,1"])
def test_a_damaged_table_is_an_error(run, tmp_path, content):
    folder = shutil.copytree(run.path, tmp_path / "copy")
    (folder / "per_class.csv").write_text(content)
    with pytest.raises(vk.UserError, match=r"per_class\.csv' is damaged"):
        vk.Run(folder).table("per_class")
