"""What tests of several rooms share."""

import os
from pathlib import Path

import pytest

os.environ.setdefault("GOMP_SPINCOUNT", "2000")  # as the command line does, before torch is imported

REPOSITORY = Path(__file__).parents[1]
SHARED_DATA = REPOSITORY.parent / "shared" / "data"


@pytest.fixture
def in_empty_folder(tmp_path, monkeypatch):
    """The working directory is a new, empty folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def cli(capsys):
    """Run the command line in this process: ``cli("list", "backbones")`` gives exit code, output and errors."""
    from visionkit.cli.main import main

    def run(*arguments):
        capsys.readouterr()
        code = main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run
