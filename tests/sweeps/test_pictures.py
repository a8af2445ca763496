"""The picture of a sweep."""

from visionkit.sweeps.folder import SweepFolder
from visionkit.sweeps.job import RunRow
from visionkit.sweeps.pictures import draw_sweep, run_names
from visionkit.tasks.info import TASKS


def test_runs_are_named_by_what_differs():
    overrides = [{"backbone": "lenet", "recipe.lr": "0.1", "recipe.epochs": "3"}]
    overrides += [{"backbone": "resnet18", "recipe.lr": "0.100000000001", "recipe.epochs": "3"}]
    assert run_names(overrides) == ["backbone=lenet lr=0.1", "backbone=resnet18 lr=0.1"]


def test_keys_that_end_alike_are_named_whole():
    overrides = [{"a.p": "1", "b.p": "1"}, {"a.p": "2", "b.p": "2"}]
    assert run_names(overrides) == ["a.p=1 b.p=1", "a.p=2 b.p=2"]


def test_the_only_run_has_no_name_of_its_own():
    assert run_names([{"recipe.lr": "0.1"}]) == [""]


def test_the_curves_of_all_runs_that_have_any_lie_beside_the_table(tmp_path, monkeypatch):
    folder = SweepFolder.plan(str(tmp_path / "sweep"), ["recipe.lr=1,2,3"])
    for number, status in enumerate(("done", "pruned", "failed")):
        folder.rows[number] = RunRow(number, {"recipe.lr": str(number + 1)}, status)
    for number in (0, 1):
        (tmp_path / "sweep" / str(number)).mkdir(parents=True)
        text = f"epoch,val/accuracy\n1,0.{number}\n2,0.{number + 1}\n"
        (tmp_path / "sweep" / str(number) / "metrics.csv").write_text(text)
    drawn = {}
    monkeypatch.setattr(
        "visionkit.report.plots.sweep_curves.save_figure", lambda figure, path: drawn.update({path: figure})
    )
    draw_sweep(folder, TASKS["classify"])
    ((path, figure),) = drawn.items()
    assert path == tmp_path / "sweep" / "curves.png"
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert names == ["1: lr=2   20.00 %", "0: lr=1   10.00 %"]


def test_a_damaged_table_of_one_run_hides_no_other(tmp_path):
    folder = SweepFolder.plan(str(tmp_path / "sweep"), ["recipe.lr=1,2"])
    for number, text in enumerate(("epoch,val/accuracy\n1,0.5\n", "epoch\nx\n")):
        folder.rows[number] = RunRow(number, {"recipe.lr": str(number)}, "done")
        (tmp_path / "sweep" / str(number)).mkdir(parents=True)
        (tmp_path / "sweep" / str(number) / "metrics.csv").write_text(text)
    draw_sweep(folder, TASKS["classify"])
    assert (tmp_path / "sweep" / "curves.png").exists()
