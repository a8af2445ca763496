"""What cannot be exported is named with its layer."""

import pytest
import torch
from torch import nn

from visionkit.errors import UserError
from visionkit.export.files import write_onnx, write_torch_export
from visionkit.export.graph import ExportGraph
from visionkit.models import create_model


class Bessel(nn.Module):
    """An operator that ONNX does not have."""

    def forward(self, x):
        return torch.special.bessel_j0(x)


class Branch(nn.Module):
    """A branch that depends on values."""

    def forward(self, x):
        return x * 2 if float(x.sum()) > 0 else x


def graph_with(layer):
    torch.manual_seed(0)
    model = create_model("classify", "lenet", num_classes=3, in_channels=1, image_size=32)
    name, first = next((name, part) for name, part in model.backbone.named_modules() if isinstance(part, nn.Conv2d))
    parent, _, child = name.rpartition(".")
    sequence = nn.Sequential()
    sequence.add_module("conv", first)
    sequence.add_module("odd", layer)
    setattr(model.backbone.get_submodule(parent), child, sequence)
    return ExportGraph(model, task="classify", decode=True), f"backbone.{name}.odd"


IMAGES = {"images": torch.zeros(2, 1, 32, 32, dtype=torch.uint8)}


def test_a_branch_on_values_is_named_with_its_layer(tmp_path, capfd):
    graph, name = graph_with(Branch())
    with pytest.raises(UserError, match=f"the layer '{name}' \\(Branch\\) does not go into torch.export") as caught:
        write_torch_export(graph, IMAGES, tmp_path / "a.pt2", {}, dynamic_size=False)
    assert "Expected layers" in str(caught.value)
    assert capfd.readouterr() == ("", "")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_an_operator_that_onnx_lacks_is_named_with_its_layer(tmp_path, capfd):
    pytest.importorskip("onnxscript")
    graph, name = graph_with(Bessel())
    with pytest.raises(UserError, match=f"the layer '{name}' \\(Bessel\\) does not go into ONNX.*bessel_j0") as caught:
        write_onnx(graph, IMAGES, tmp_path / "a.onnx", {}, dynamic_size=False)
    assert str(caught.value).endswith("or to=torch_export")
    assert capfd.readouterr() == ("", "")
    assert list(tmp_path.iterdir()) == []


def test_after_an_export_the_model_has_no_hooks(tmp_path):
    graph, _ = graph_with(nn.Identity())
    write_torch_export(graph, IMAGES, tmp_path / "a.pt2", {}, dynamic_size=False)
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in graph.modules())
