"""The wheel: conf/ travels in it, and it works where the checkout is out of sight."""

import json
import os
import site
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

from tests.helpers.paths import REPOSITORY


def run(command, cwd, **variables):
    environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV")} | variables
    result = subprocess.run(command, cwd=cwd, capture_output=True, text=True, env=environment)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The Python of a new environment that has the built wheel, the parent's packages, and no sight of the checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    run([sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, REPOSITORY], folder)
    (wheel,) = folder.glob("visionkit-*.whl")
    venv.create(folder / "env", with_pip=False)
    python = folder / "env" / ("Scripts" if os.name == "nt" else "bin") / "python"
    pip = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps", "--no-index"]
    run([*pip, wheel], folder)
    packages = run([python, "-c", "import sysconfig; print(sysconfig.get_paths()['purelib'])"], folder).strip()
    parents = {sysconfig.get_paths()["purelib"], sysconfig.get_paths()["platlib"], *site.getsitepackages()}
    # A folder named in a .pth file joins the path, but the .pth files in it (the editable install's) do not count.
    (Path(packages) / "parent.pth").write_text("\n".join(sorted(parents)) + "\n")
    return python


def test_the_package_comes_from_the_wheel_and_not_from_the_checkout(installed, tmp_path):
    found = run([installed, "-c", "import visionkit; print(visionkit.__file__)"], tmp_path).strip()
    assert not Path(found).is_relative_to(REPOSITORY)


def test_list_and_inspect_answer_from_another_folder(installed, tmp_path):
    groups = json.loads(run([installed, "-m", "visionkit", "list", "format=json"], tmp_path))
    assert "resnet50" in groups["backbone"]
    report = json.loads(run([installed, "-m", "visionkit", "inspect", "format=json", "num_classes=10"], tmp_path))
    assert report["totals"]["parameters"] == 61_706
    script = installed.parent / "visionkit"
    assert "visionkit" in run([script, "--version"], tmp_path)


def test_a_run_trains_from_another_folder_with_a_config_folder_of_the_users_own(installed, tmp_path):
    (tmp_path / "mine" / "recipe").mkdir(parents=True)
    shipped = (REPOSITORY / "conf" / "recipe" / "sgd.yaml").read_text()
    (tmp_path / "mine" / "recipe" / "short.yaml").write_text(f"{shipped}epochs: 2\n")
    words = ["--config-dir", "mine", "recipe=short", "debug.limit_batches=4", "hardware=cpu", "format=json"]
    result = json.loads(run([installed, "-m", "visionkit", *words], tmp_path))
    assert result["metrics"]["epochs"] == 2
    assert 0 < result["metrics"]["test/accuracy"] <= 1
    assert (tmp_path / result["run"] / "model.safetensors").is_file()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["mine", "runs"]
