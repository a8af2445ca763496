"""What environment.json says, and what it does not."""

import json
import socket
from pathlib import Path

import torch

from visionkit.runs.environment import describe_environment


def test_versions_and_hardware_are_there_and_names_are_not():
    environment = describe_environment()
    assert environment["versions"]["torch"].startswith(torch.__version__.split("+")[0])
    assert set(environment["versions"]) >= {"python", "visionkit", "torchvision", "lightning", "torchmetrics"}
    assert environment["cpu_cores"] >= 1
    text = json.dumps(environment)
    assert socket.gethostname() not in text
    assert str(Path.home()) not in text
