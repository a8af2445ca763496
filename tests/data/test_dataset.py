from pathlib import Path

import pytest
import torch

from visionkit.data.dataset import FileDataset, TensorDataset
from visionkit.errors import UserError


@pytest.fixture
def tensors() -> TensorDataset:
    images = torch.arange(6, dtype=torch.uint8).view(6, 1, 1, 1).expand(6, 1, 2, 2).contiguous()
    return TensorDataset(images, torch.tensor([0, 1, 2, 0, 1, 2]), torch.tensor([4, 1, 5]), prefix="train")


def test_tensor_samples_count_from_their_positions(tensors):
    assert len(tensors) == 3
    assert tensors.labels.tolist() == [1, 1, 2]
    assert tensors.name(2) == "train/5"
    assert tensors.image(0).unique().tolist() == [4]
    assert tensors.batch(torch.tensor([2, 0]))[:, 0, 0, 0].tolist() == [5, 4]


def test_selected_tensor_samples_keep_names_and_labels(tensors):
    chosen = tensors.select(torch.tensor([2]))
    assert (chosen.name(0), chosen.labels.tolist()) == ("train/5", [2])


def test_file_samples_are_decoded_when_asked_for(tmp_path: Path, save_image):
    for index, name in enumerate(["ä/1.png", "ä/2.png"]):
        save_image(tmp_path / name, size=(4, 5), seed=index)
    samples = FileDataset(tmp_path, ["ä/1.png", "ä/2.png"], torch.tensor([0, 1]), in_channels=3)
    assert samples.name(1) == str(tmp_path / "ä" / "2.png")
    assert samples.image(1).shape == (3, 4, 5)
    chosen = samples.select(torch.tensor([1]))
    assert (len(chosen), chosen.name(0)) == (1, samples.name(1))


def test_a_file_that_is_gone_is_named(tmp_path: Path):
    samples = FileDataset(tmp_path, ["gone.png"], torch.tensor([0]), in_channels=3)
    with pytest.raises(UserError, match=r"gone.png"):
        samples.image(0)
