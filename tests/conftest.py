"""What tests of several rooms share."""

import gc
import os
import signal

import pytest

# Before torch is imported: a worker per core leaves no core for a second thread, and tiny models gain nothing from
# one; GOMP_SPINCOUNT as the command line sets it. Processes that tests start inherit both.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("GOMP_SPINCOUNT", "2000")

# A shell ignores SIGINT for what it starts in the background, and so would the processes that tests interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

from tests.helpers.budget import BudgetPlugin
from tests.helpers.paths import REPOSITORY


def pytest_addoption(parser):
    parser.addoption(
        "--update-budget", action="store_true", help="write the measured seconds of a whole run to tests/budget.json"
    )


def pytest_configure(config):
    config.pluginmanager.register(BudgetPlugin(config, REPOSITORY / "tests" / "budget.json"))


@pytest.hookimpl(wrapper=True)
def pytest_collection(session):
    """Hundreds of thousands of objects live from here to the end; the garbage collector need not look at them again."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.collect()
        gc.freeze()
        gc.enable()


@pytest.fixture
def in_empty_folder(tmp_path, monkeypatch):
    """The working directory is a new, empty folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="session")
def shared_runs(tmp_path_factory, worker_id):
    """Folders that are made once for all tests, in whichever worker asks first."""
    from tests.helpers.shared_runs import SharedRuns

    root = tmp_path_factory.getbasetemp()
    return SharedRuns((root if worker_id == "master" else root.parent) / "shared")


@pytest.fixture
def published(tmp_path_factory, monkeypatch):
    """A `PublishedWeights` folder that torch takes for its own; an attempt to download fails the test."""
    import torch

    from tests.helpers.published_weights import PublishedWeights

    home = tmp_path_factory.mktemp("torch")
    monkeypatch.setenv("TORCH_HOME", str(home))
    monkeypatch.setattr(torch.hub, "download_url_to_file", lambda *a, **k: pytest.fail("a download was tried"))
    folder = home / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    return PublishedWeights(folder)


@pytest.fixture
def cli(capfd, tmp_path, monkeypatch):
    """Run the command line in this process: ``cli("list", "backbones")`` gives exit code, output and errors.

    The pictures of its runs are blank, what was composed before is not composed again, and plugins in ``tmp_path`` are
    forgotten.
    """
    from tests.helpers.compositions import composed_once
    from tests.helpers.pictures import blank_pictures
    from tests.helpers.plugins import plugins_forgotten
    from visionkit.cli.main import main

    monkeypatch.delenv("COLUMNS", raising=False)  # of a worker of pytest

    def run(*arguments):
        capfd.readouterr()
        with blank_pictures(), composed_once():
            code = main([str(argument) for argument in arguments])
        captured = capfd.readouterr()
        return code, captured.out, captured.err

    with plugins_forgotten(tmp_path):
        yield run
