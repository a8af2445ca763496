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


class Published:
    """The folder where torch keeps published weights, to be filled with stand-ins that are random."""

    def __init__(self, folder):
        self.folder = folder

    def file(self, model, entry="DEFAULT"):
        """Where the published file of a torchvision model belongs."""
        from torchvision.models import get_model_weights

        return self.folder / getattr(get_model_weights(model), entry).url.rpartition("/")[2]

    def network(self, model, **arguments):
        """A torchvision network whose norms do something, and its weights under the published name."""
        import torch
        from torch import nn
        from torchvision.models import get_model

        torch.manual_seed(0)
        net = get_model(model, weights=None, **arguments)
        for module in net.modules():
            if isinstance(module, nn.BatchNorm2d):
                nn.init.uniform_(module.weight, 0.8, 1.2)
                nn.init.uniform_(module.bias, -0.2, 0.2)
                nn.init.uniform_(module.running_mean, -0.1, 0.1)
                nn.init.uniform_(module.running_var, 0.8, 1.2)
        torch.save(net.state_dict(), self.file(model))
        return net.eval()


@pytest.fixture
def published(tmp_path_factory, monkeypatch):
    """A `Published` folder that torch takes for its own; an attempt to download fails the test."""
    import torch

    home = tmp_path_factory.mktemp("torch")
    monkeypatch.setenv("TORCH_HOME", str(home))
    monkeypatch.setattr(torch.hub, "download_url_to_file", lambda *a, **k: pytest.fail("a download was tried"))
    folder = home / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    return Published(folder)


@pytest.fixture
def cli(capfd):
    """Run the command line in this process: ``cli("list", "backbones")`` gives exit code, output and errors."""
    from visionkit.cli.main import main

    def run(*arguments):
        capfd.readouterr()
        code = main([str(argument) for argument in arguments])
        captured = capfd.readouterr()
        return code, captured.out, captured.err

    return run
