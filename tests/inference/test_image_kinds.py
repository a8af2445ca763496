"""Images of another kind than those of the training: their values, what is said of them, and what is refused."""

import logging

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from visionkit.data.images import ImageReader
from visionkit.data.transforms import InputTransform
from visionkit.errors import UserError
from visionkit.inference.classify import ClassifyInference
from visionkit.inference.options import PredictOptions
from visionkit.inference.predictor import Predictor

SIZE = 8


class _Mean(nn.Module):
    """Two classes; the probability of the second is the mean of the pixels over 255."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, images):
        return images.float().mean(dim=(1, 2, 3)) / 255

    def predict(self, outputs):
        return {"labels": (outputs > 0.5).long(), "probabilities": torch.stack([1 - outputs, outputs], dim=1)}


def predictor(*, in_channels=3, value_range=None, trained_range=None, on_note=None):
    data = {"class_names": ["dark", "bright"], "image_size": [SIZE, SIZE], "value_range": trained_range}
    inference = ClassifyInference(
        _Mean(), InputTransform((SIZE, SIZE)), data, options=PredictOptions(value_range=value_range)
    )
    reader = ImageReader(in_channels, value_range=value_range or trained_range)
    return Predictor(inference, reader, task="classify", batch_size=4, on_note=on_note)


def brightness(model, image):
    return float(model.predict(image).probabilities[1]) * 255


def notes(model):
    return [finding.note for finding in model.findings]


def picture(mode, value):
    return Image.new(mode, (SIZE, SIZE), value)


@pytest.mark.parametrize(
    ("mode", "value", "expected", "kind"),
    [
        ("L", 51, 51, "in grey"),
        ("RGBA", (0, 0, 0, 0), 255, "with transparency (over white)"),
        ("LA", (0, 255), 0, "with transparency (over white)"),
        ("1", 1, 255, "of 1 bit"),
        ("CMYK", (0, 0, 0, 255), 0, "of CMYK inks"),
    ],
)
def test_a_picture_of_another_kind_is_converted_and_said(mode, value, expected, kind):
    model = predictor()
    assert brightness(model, picture(mode, value)) == pytest.approx(expected, abs=0.01)
    assert notes(model) == [f"1 image(s) {kind} converted to the three channels of this run: the image"]


def test_a_palette_is_said_and_gives_its_colours(tmp_path):
    model = predictor()
    picture("RGB", (102, 102, 102)).convert("P", palette=Image.Palette.ADAPTIVE).save(tmp_path / "a.png")
    assert brightness(model, tmp_path / "a.png") == pytest.approx(102, abs=0.01)
    assert notes(model) == [
        f"1 image(s) with a palette converted to the three channels of this run: {tmp_path / 'a.png'}"
    ]


def test_colours_are_said_to_be_grey_for_a_run_of_one_channel():
    model = predictor(in_channels=1)
    assert brightness(model, picture("RGB", (100, 100, 100))) == pytest.approx(100, abs=0.01)
    assert notes(model) == ["1 image(s) in colour converted to the one grey channel of this run: the image"]


def test_arrays_and_tensors_are_said_as_files_are():
    model = predictor()
    model.predict(np.zeros((SIZE, SIZE), np.uint8))
    model.predict(torch.zeros(4, SIZE, SIZE, dtype=torch.uint8))
    assert notes(model) == [
        "1 image(s) in grey converted to the three channels of this run: the image",
        "1 image(s) with transparency (over white) converted to the three channels of this run: the image",
    ]


def test_images_like_those_of_the_training_are_not_said(tmp_path):
    picture("RGB", (9, 9, 9)).save(tmp_path / "a.jpg")
    model, grey = predictor(), predictor(in_channels=1)
    model.predict([tmp_path / "a.jpg", picture("RGB", 0), np.zeros((SIZE, SIZE, 3), np.uint8)])
    grey.predict([picture("L", 0), np.zeros((SIZE, SIZE), np.uint8)])
    assert notes(model) == notes(grey) == []


def test_a_kind_is_counted_over_all_images_and_said_once_in_python():
    said = []
    model = predictor(on_note=said.append)
    model.predict([picture("L", 0)] * 12)
    (finding,) = model.findings
    assert finding.note.endswith("run: image 1, image 2, image 3 and 9 more")
    assert (finding.count, len(said)) == (12, 1)


def sixteen_bits(folder):
    pixels = np.full((SIZE, SIZE), 13107, np.uint16)  # a fifth of 65,535
    Image.fromarray(pixels).save(folder / "a.png")
    Image.fromarray(pixels).save(folder / "a.tif")
    np.save(folder / "a.npy", pixels)
    return [
        *(folder / name for name in ("a.png", "a.tif", "a.npy")),
        Image.fromarray(pixels),
        pixels,
        torch.from_numpy(pixels.astype(np.int32))[None],
    ]


@pytest.mark.parametrize("number", range(6))
def test_sixteen_bits_are_refused_by_a_run_of_eight_bits_in_every_form(tmp_path, number):
    image = sixteen_bits(tmp_path)[number]
    with pytest.raises(UserError, match=r"which of its values are black and white .*: value_range=\[0,65535\]"):
        predictor().predict(image)
    model = predictor(value_range=(0, 65535))
    assert brightness(model, image) == pytest.approx(51, abs=0.01)


@pytest.mark.parametrize(
    "image",
    [np.full((SIZE, SIZE, 3), 0.2), torch.full((3, SIZE, SIZE), 0.2), Image.new("F", (SIZE, SIZE), 0.2)],
    ids=["array", "tensor", "Pillow"],
)
def test_floats_are_refused_by_a_run_of_eight_bits_and_read_by_a_range(image):
    with pytest.raises(UserError, match=r"values of floats.*value_range=\[0,1\]"):
        predictor().predict(image)
    assert brightness(predictor(value_range=(0, 1)), image) == pytest.approx(51, abs=0.01)


def test_a_run_of_sixteen_bits_scales_by_its_own_range_and_says_eight_bits():
    model = predictor(in_channels=1, trained_range=(0, 4095))
    assert brightness(model, np.full((SIZE, SIZE), 819, np.uint16)) == pytest.approx(51, abs=0.01)
    assert notes(model) == []
    assert brightness(model, np.full((SIZE, SIZE), 51, np.uint8)) == pytest.approx(51, abs=0.01)
    assert notes(model) == [
        "1 image(s) of 8 bits predicted by a run that was trained on 0 to 4095: read as 0 to 255: the image"
    ]


def test_a_picture_of_which_pillow_would_drop_bits_is_refused(tmp_path):
    from torchvision.io import write_file

    write_file(str(tmp_path / "a.png"), torch.tensor(list(_png16()), dtype=torch.uint8))
    with pytest.raises(UserError, match="values of 16 bits, and the run was trained on images of 8 bits"):
        predictor().predict(Image.open(tmp_path / "a.png"))
    with pytest.raises(UserError, match=r"16 bits for each colour, of which Pillow keeps 8. Expected the path"):
        predictor(value_range=(0, 65535)).predict(Image.open(tmp_path / "a.png"))
    assert brightness(predictor(value_range=(0, 65535)), tmp_path / "a.png") == pytest.approx(51, abs=0.01)


def _png16():
    """A PNG file of one pixel with 16 bits for each of red, green and blue."""
    import struct
    import zlib

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    row = b"\0" + struct.pack(">HHH", 13107, 13107, 13107)
    header = struct.pack(">IIBBBBB", 1, 1, 16, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(row)) + chunk(b"IEND", b"")


def test_a_large_file_read_part_by_part_is_one_image(tmp_path):
    from visionkit.inference.image_kinds import KindCheck
    from visionkit.inference.notes import Notes

    Image.new("L", (300, 900), 7).save(tmp_path / "a.tif", compression="tiff_lzw")
    from visionkit.data.image_rows import open_rows

    found = Notes()
    check = KindCheck(found, in_channels=3, value_range=None, trained_range=None)
    rows = open_rows(tmp_path / "a.tif", ImageReader(3, on_kind=check))
    for top in range(0, 900, 100):
        rows.rows(top, top + 100)
    assert [finding.count for finding in found.findings] == [1]


def test_what_vk_load_says_is_logged(shared_runs, caplog):
    import visionkit as vk

    with caplog.at_level(logging.WARNING, logger="visionkit"):
        vk.load(shared_runs.of("classify")).predict([Image.new("RGB", (28, 28))] * 3)
    (record,) = caplog.records
    assert "in colour converted to the one grey channel of this run: image 1. Nothing, if" in record.getMessage()
