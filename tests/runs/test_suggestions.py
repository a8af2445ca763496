"""What is suggested for a ``run=`` that names no run."""

from visionkit.runs.suggestions import suggest_run


def test_a_file_of_a_run_names_the_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "r3").mkdir()
    (tmp_path / "r3" / "config.yaml").write_text("task: classify")
    assert suggest_run("r3/config.yaml").endswith("Type run=r3.")


def test_a_sweep_names_its_runs_in_the_order_of_their_numbers(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("10", "2"):
        (tmp_path / "sw" / name).mkdir(parents=True)
        (tmp_path / "sw" / name / "config.yaml").write_text("task: classify")
    assert suggest_run("sw") == " It holds the runs 2, 10. Type one, such as run=sw/2."


def test_a_misspelt_latest_is_latest(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert suggest_run("lastest") == " Did you mean 'latest'?"


def test_a_folder_without_runs_suggests_nothing(tmp_path):
    assert suggest_run(str(tmp_path)) == ""
