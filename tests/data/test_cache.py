import os
from pathlib import Path

import pytest
import torch

from visionkit.data.cache import decode_originals, decode_prepared
from visionkit.data.dataset import FileDataset
from visionkit.data.transforms import InputTransform
from visionkit.distributed.devices import available_cores
from visionkit.errors import UserError

SIZES = [(8, 8), (6, 10), (8, 8), (3, 4)]


@pytest.fixture
def samples(tmp_path: Path, save_image) -> FileDataset:
    for index, size in enumerate(SIZES):
        save_image(tmp_path / f"{index}.png", size=size, seed=index)
    return FileDataset(tmp_path, [f"{index}.png" for index in range(4)], torch.arange(4), in_channels=3)


def test_prepared_images_are_one_tensor_of_what_preprocessing_gives(samples):
    transform = InputTransform((5, 7))
    decoded = decode_prepared(samples, transform, budget=10**6, strict=False)
    assert decoded is not None
    assert decoded.images.shape == (4, 3, 5, 7)
    assert decoded.nbytes == 4 * 3 * 5 * 7
    assert all(torch.equal(decoded.image(index), transform(samples.image(index))) for index in range(4))


def test_originals_of_several_sizes_lie_one_after_another(samples):
    decoded = decode_originals(samples, budget=10**6, strict=False)
    assert decoded is not None
    assert decoded.images.shape == (3 * sum(height * width for height, width in SIZES),)
    assert all(torch.equal(decoded.image(index), samples.image(index)) for index in range(4))


def test_originals_of_one_size_are_one_tensor(samples):
    decoded = decode_originals(samples.select(torch.tensor([0, 2])), budget=10**6, strict=False)
    assert decoded is not None
    assert decoded.images.shape == (2, 3, 8, 8)
    assert torch.equal(decoded.image(1), samples.image(2))


def test_what_does_not_fit_is_not_decoded(samples):
    assert decode_prepared(samples, InputTransform((5, 7)), budget=419, strict=False) is None
    assert decode_originals(samples, budget=599, strict=False) is None
    assert decode_originals(samples, budget=600, strict=False) is not None


@pytest.mark.parametrize("prepared", [True, False])
def test_unreadable_images_are_left_out_and_named(samples, prepared):
    Path(samples.name(1)).write_bytes(b"broken")
    if prepared:
        decoded = decode_prepared(samples, InputTransform((8, 8)), budget=10**6, strict=False)
    else:
        decoded = decode_originals(samples, budget=10**6, strict=False)
    assert decoded is not None
    assert decoded.keep.tolist() == [0, 2, 3]
    assert list(decoded.problems) == [1]
    assert "1.png" in str(decoded.problems[1])
    assert decoded.problems[1].code == "image-unreadable"
    assert torch.equal(decoded.image(1), samples.image(2))


def test_a_file_cut_off_after_its_header_is_left_out_of_the_originals(samples, save_image):
    path = save_image(Path(samples.name(0)), size=(64, 64))
    path.write_bytes(path.read_bytes()[:3000])
    decoded = decode_originals(samples, budget=10**6, strict=False)
    assert decoded is not None
    assert decoded.keep.tolist() == [1, 2, 3]
    assert torch.equal(decoded.image(2), samples.image(3))


def test_an_unreadable_image_is_an_error_when_strict(samples):
    Path(samples.name(2)).write_bytes(b"broken")
    with pytest.raises(UserError, match=r"2.png' cannot be read.*Or leave out what cannot be read: strict=false"):
        decode_prepared(samples, InputTransform((8, 8)), budget=10**6, strict=True)
    with pytest.raises(UserError, match=r"2.png' cannot be read.*strict=false"):
        decode_originals(samples, budget=10**6, strict=True)


def test_at_least_one_core_and_no_more_than_there_are():
    assert 1 <= available_cores() <= (os.cpu_count() or 1)
