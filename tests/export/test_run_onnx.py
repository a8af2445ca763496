"""The script beside an exported file: it resizes as visionkit does, and needs no torch."""

import json
import random
import subprocess
import sys

import numpy
import pytest
import torch
from PIL import Image

from visionkit.data.images import ImageReader
from visionkit.data.transforms import InputTransform
from visionkit.structures.rle import decode_mask, paste_masks

onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed: pip install 'visionkit[onnx]'")

from visionkit.export import run_onnx  # noqa: E402
from visionkit.export.description import has_script  # noqa: E402
from visionkit.export.files import torch_export_runner  # noqa: E402

TRANSFORMS = [
    InputTransform((32, 48), "resize"),
    InputTransform((32, 48), "letterbox"),
    InputTransform((32, 32), "resize_crop"),
    InputTransform((32, 32), "pad"),
    InputTransform((32, 32), "pad", native=(8, 8)),
    InputTransform((33, 47), "pad", native=(28, 28)),
    InputTransform((40, 40), "resize_pad", max_size=66),
    InputTransform((40, 40), "resize_pad"),
]


def info(transform, in_channels=3):
    from dataclasses import asdict

    return {"in_channels": in_channels, "resize": asdict(transform)}


@pytest.mark.parametrize("transform", TRANSFORMS, ids=lambda t: f"{t.mode}-{t.native}")
def test_sizes_are_those_of_training(transform):
    generator = random.Random(0)
    for _ in range(500):
        height, width = generator.randint(1, 900), generator.randint(1, 900)
        assert run_onnx.content_size(height, width, info(transform)["resize"]) == transform.content_size(height, width)


@pytest.mark.parametrize("transform", TRANSFORMS, ids=lambda t: f"{t.mode}-{t.native}")
@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "P"])
def test_pixels_are_those_of_visionkit(tmp_path, transform, mode):
    pixels = numpy.random.RandomState(0).randint(0, 256, (12, 17, 4), dtype=numpy.uint8)
    image = Image.fromarray(pixels, "RGBA").resize((170, 120), Image.Resampling.BICUBIC)
    image.convert(mode).save(tmp_path / "a.png")
    channels = 1 if mode == "L" else 3
    batch, size = run_onnx.prepare(
        run_onnx.read(tmp_path / "a.png", info(transform, channels)), info(transform, channels)
    )
    loaded = ImageReader(channels).read(tmp_path / "a.png", target=transform.content_size)
    expected, sizes = transform.pad_batch([transform.place(loaded.pixels)])
    assert batch.shape == tuple(expected.shape)
    assert numpy.abs(batch.astype(int) - expected.numpy().astype(int)).max() <= 1
    assert list(size) == sizes[0].tolist()


def test_masks_are_pasted_as_visionkit_does():
    generator = torch.Generator().manual_seed(0)
    corners = 60 * torch.rand(20, 2, generator=generator) - 15  # some of them outside
    boxes = torch.cat([corners, corners + 0.5 + 40 * torch.rand(20, 2, generator=generator)], dim=1)
    logits = 4 * torch.randn(20, 28, 28, generator=generator)
    for runs, mask, box in zip(paste_masks(logits, boxes, (50, 70)), logits.numpy(), boxes.numpy(), strict=True):
        found = run_onnx.paste(mask, box, 50, 70)
        assert found.shape == (50, 70)
        assert (found != decode_mask(runs)).sum() <= 1  # at a probability of 0.5
    assert found.any()


@pytest.mark.parametrize("mode", ["I;16", "F"])
def test_images_of_more_than_eight_bits_are_refused(tmp_path, mode):
    dtype = numpy.uint16 if mode == "I;16" else numpy.float32
    Image.fromarray(numpy.zeros((8, 8), dtype)).save(tmp_path / "a.tif")
    with pytest.raises(ValueError, match=f"its mode is {mode}: more than 8 bits"):
        run_onnx.read(tmp_path / "a.tif", info(TRANSFORMS[0]))


@pytest.mark.parametrize(
    ("changed", "expected"),
    [({}, True), ({"decode": False}, False), ({"value_range": [0, 4095]}, False), ({"in_channels": 4}, False)],
)
def test_there_is_a_script_for_what_it_can_read_alone(changed, expected):
    assert has_script({"decode": True, "value_range": None, "in_channels": 3} | changed) is expected


WITHOUT_TORCH = """
import runpy, sys
for name in ("torch", "torchvision", "visionkit", "lightning"):
    sys.modules[name] = None
sys.argv = ["run_onnx.py", *sys.argv[2:]]
runpy.run_path({script!r}, run_name="__main__")
"""


@pytest.mark.slow
@pytest.mark.parametrize("task", ["classify", "detect", "segment", "instance"])
def test_the_script_says_what_predict_says_without_torch(shared_runs, tmp_path, task):
    """The export of a trained run, on images of its kind."""
    import visionkit as vk

    run = shared_runs.exported(task)
    files = run / "exports" / "onnx"
    parity = json.loads((files / "parity.json").read_text())
    assert parity["passed"]
    assert parity["images"] > 10
    assert max(parity["largest_difference"].values()) < 1e-4
    pixels = numpy.random.RandomState(1).randint(0, 256, (40, 40, 3), dtype=numpy.uint8)
    Image.fromarray(pixels).resize((90, 70)).convert("L" if task == "classify" else "RGB").save(tmp_path / "a.png")
    session = onnxruntime.InferenceSession(str(files / "model.onnx"))
    values = json.loads((files / "classes.json").read_text())
    found = run_onnx.predict(tmp_path / "a.png", session, values)
    expected = vk.load(run, device="cpu").predict(tmp_path / "a.png")
    if task == "classify":
        assert numpy.abs(found["probabilities"] - expected.probabilities).max() < 0.02  # pixels differ by 1 of 255
    elif task == "segment":
        assert (found["mask"] == expected.mask).mean() > 0.99
    else:
        assert abs(len(found["boxes"]) - len(expected.boxes)) <= 2
        assert numpy.abs(found["boxes"][:3] - expected.boxes[:3]).max() < 1
        for i, mask in enumerate(expected.masks[:3] if task == "instance" else ()):
            assert (run_onnx.paste(found["mask_logits"][i], found["boxes"][i], 70, 90) == mask).mean() > 0.99
    script = WITHOUT_TORCH.format(script=str(files / "run_onnx.py"))
    done = subprocess.run(
        [sys.executable, "-c", script, "-", str(tmp_path / "a.png")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert task != "classify" or expected.label in done.stdout


@pytest.mark.slow
def test_another_batch_is_taken(cli, shared_runs, tmp_path):
    run = shared_runs.of("classify")
    code, out, err = cli("export", f"run={run}", "to=torch_export", f"out={tmp_path / 'out'}")
    assert (code, "equal: " in out.replace("\n", " ")) == (0, True), out + err
    run_file = torch_export_runner(tmp_path / "out" / "model.pt2")
    values = json.loads((tmp_path / "out" / "classes.json").read_text())
    images = torch.zeros(7, values["in_channels"], *values["resize"]["image_size"], dtype=torch.uint8)
    assert run_file({"images": images})["probabilities"].shape == (7, len(values["class_names"]))


def turn_channels(weights):
    return weights[:, ::-1] if weights.shape[1] > 1 else weights[..., ::-1]


def turn_classes(weights):
    return numpy.roll(weights, 1, axis=0)


@pytest.mark.slow
@pytest.mark.parametrize(("change", "which"), [(turn_channels, 0), (turn_classes, -1)])
def test_a_fault_in_the_written_file_is_found(shared_runs, tmp_path, change, which):
    """The weights of the first or the last layer are changed in the file itself."""
    import onnx
    from onnx import numpy_helper

    from visionkit.export.comparison import check_parity
    from visionkit.export.files import onnx_runner
    from visionkit.export.parity import Parity

    written = shared_runs.exported("classify") / "exports" / "onnx" / "model.onnx"
    file = onnx.load(written)
    tensors = [tensor for tensor in file.graph.initializer if "weight" in tensor.name and len(tensor.dims) > 1]
    values = numpy_helper.to_array(tensors[which])
    tensors[which].CopyFrom(numpy_helper.from_array(numpy.ascontiguousarray(change(values)), tensors[which].name))
    onnx.save(file, tmp_path / "changed.onnx")
    import visionkit as vk

    model = vk.load(shared_runs.of("classify"), device="cpu").inference.model
    images = torch.randint(0, 256, (3, 1, 32, 32), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    for path, passed in ((written, True), (tmp_path / "changed.onnx", False)):
        parity = Parity(images=3)
        check_parity(onnx_runner(path), model, [("images", {"images": images})], parity=parity, noise=False)
        assert parity.passed is passed, parity.problems
