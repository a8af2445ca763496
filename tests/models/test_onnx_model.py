"""A file in the place of a model: what is no file of an export is refused, and what is one is run."""

import json

import pytest
import torch

from tests.helpers.onnx_files import metadata, write_onnx
from visionkit.errors import UserError
from visionkit.models.onnx_model import OnnxModel


def refused(file):
    with pytest.raises(UserError) as caught:
        OnnxModel(file)
    return str(caught.value)


def test_a_file_gives_what_its_graph_computes_for_any_number_of_images(tmp_path):
    model = OnnxModel(write_onnx(tmp_path / "a.onnx"))
    for number in (1, 3):
        outputs = model.predict(model(torch.full((number, 1, 4, 4), 100, dtype=torch.uint8)))
        expected = torch.tensor([1.6, 0.0]).softmax(0).expand(number, 2)
        torch.testing.assert_close(outputs["probabilities"], expected, rtol=0, atol=1e-6)
        assert outputs["labels"].tolist() == [0] * number
    assert model.info == metadata("classify")
    assert model.export_info.resize.image_size == (4, 4)


def test_values_between_those_of_eight_bits_are_rounded_for_a_file_that_takes_these(tmp_path):
    model = OnnxModel(write_onnx(tmp_path / "a.onnx"))
    bright = model(torch.full((1, 1, 4, 4), 99.6))["probabilities"]
    assert bright.equal(model(torch.full((1, 1, 4, 4), 100, dtype=torch.uint8))["probabilities"])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is no ONNX file that onnxruntime reads: it is empty."),
        (b"images of cats", "is no ONNX file that onnxruntime reads: "),
        (None, "is not there. Did you mean"),
    ],
)
def test_what_is_no_onnx_file_is_told(tmp_path, content, message):
    (tmp_path / "model2.onnx").touch()
    if content is not None:
        (tmp_path / "model.onnx").write_bytes(content)
    assert message in refused(tmp_path / "model.onnx")


def test_a_file_that_was_cut_and_a_folder_are_told(tmp_path):
    file = write_onnx(tmp_path / "a.onnx")
    file.write_bytes(file.read_bytes()[:300])
    assert "is no ONNX file that onnxruntime reads: " in refused(file)
    (tmp_path / "b.onnx").mkdir()
    assert "is a folder, and no ONNX file" in refused(tmp_path / "b.onnx")


def test_a_file_whose_weights_lie_in_another_one_that_is_gone_says_so(tmp_path):
    import onnx

    model = onnx.load(write_onnx(tmp_path / "a.onnx"))
    for tensor in model.graph.initializer:  # only values in bytes can lie in another file
        tensor.CopyFrom(onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(tensor), tensor.name))
    onnx.save(model, tmp_path / "b.onnx", save_as_external_data=True, location="b.data", size_threshold=0)
    (tmp_path / "b.data").unlink()
    assert "Its weights lie in another file: copy that one beside it." in refused(tmp_path / "b.onnx")


def test_a_file_of_somebody_else_says_what_it_lacks_and_what_it_gives(tmp_path):
    message = refused(write_onnx(tmp_path / "a.onnx", text=""))
    assert "but none of visionkit: its metadata lack 'visionkit'" in message
    assert "It gives: 'probabilities', 'labels'. Expected the model.onnx of a run." in message


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (b'"cat"', b'"c\xff\xfe"', "has metadata or names that are no text"),
        (b"probabilities", b"probabilitie\xff", "has metadata or names that are no text"),
        (b"Flatten", b"Flatte\xff", "is no ONNX file that onnxruntime reads: "),
    ],
)
def test_metadata_and_names_that_are_no_text_are_told(tmp_path, capfd, old, new, message):
    file = write_onnx(tmp_path / "a.onnx")
    file.write_bytes(file.read_bytes().replace(old, new))
    assert message in refused(file)
    assert capfd.readouterr().out == ""


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "are no JSON"),
        ("[" * 100_000, "are no JSON: they are nested too deeply"),
        ('{"format": 1' + "0" * 5000 + "}", "are no JSON"),
        ("[1]", "hold [1]. Expected a mapping."),
        ("{}", "have no format, and this visionkit reads 1"),
        (json.dumps(metadata("classify", format=2)), "was exported by a newer visionkit: its metadata have format 2"),
        (json.dumps(metadata("classify", format=True)), "have format true"),
    ],
)
def test_metadata_that_are_none_are_told(tmp_path, text, message):
    assert message in refused(write_onnx(tmp_path / "a.onnx", text=text))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"class_names": ...}, "class_names"),
        ({"class_names": []}, "class_names"),
        ({"class_names": "cat"}, 'class_names: expected a list, found "cat"'),
        ({"class_names": ["cat", 3]}, "class_names.1: expected a word, found 3"),
        ({"task": "regress"}, "task: expected 'classify', 'multilabel', 'detect', 'segment' or 'instance'"),
        ({"category_ids": [1]}, "there are 2 class_names, but 1 category_ids"),
        ({"in_channels": 10**9}, "in_channels: expected a number from 1 to 16, found 1000000000"),
        ({"value_range": [0, float("nan")]}, "value_range"),
        ({"value_range": [0, float("inf")]}, "value_range"),
        ({"value_range": [5, 5]}, "value_range is [5.0, 5.0], and black is below white"),
        ({"max_pixels": 0}, "max_pixels"),
        ({"batch_size": 10**12}, "batch_size"),
        ({"batch_size": "2"}, 'batch_size: expected a whole number, found "2"'),
        ({"decode": 1}, "decode: expected true or false, found 1"),
        ({"resize": {"image_size": [10**7, 4]}}, "resize.image_size.0: expected a number from 1 to 65536"),
        ({"resize": {"image_size": [4]}}, "resize.image_size: expected a list of 2 values"),
        ({"resize": {"mode": "squash"}}, "resize.mode"),
        ({"resize": {"mode": "resize_pad"}}, "resize_pad gives images of many sizes, and the file takes one"),
        ({"resize": {"crop_ratio": float("nan")}}, "resize.crop_ratio"),
        ({"resize": {"crop_ratio": 1e-9, "mode": "resize_crop"}}, "images would be resized to 1.6e+19 pixels"),
        ({"resize": {"image_size": [60_000, 60_000]}}, "images would be resized to 3.6e+09 pixels"),
        ({"resize": {"native": [0, 4]}}, "resize.native.0"),
    ],
)
def test_metadata_of_wrong_values_name_the_value(tmp_path, changes, message):
    text = refused(write_onnx(tmp_path / "a.onnx", **changes))
    assert message in text
    assert text.endswith("Export it again: python -m visionkit export run=FOLDER to=onnx")


def test_metadata_of_a_later_version_with_the_same_format_are_read(tmp_path):
    file = write_onnx(tmp_path / "a.onnx", colour_of_the_sky="blue", resize={"filter": "bilinear"})
    assert OnnxModel(file).export_info.class_names == ("cat", "dog")


@pytest.mark.parametrize(
    ("task", "replace", "message"),
    [
        ("classify", [("images", "pixels")], "takes 'pixels', and a file of task=classify takes 'images'"),
        ("segment", [("image_sizes", "sizes")], "takes 'images', 'sizes', and a file of task=segment takes"),
        ("classify", [(r"uint8\[batch", "float[batch")], "takes images of tensor(float), and by its metadata"),
        ("detect", [("batch,1,4,4", "batch,3,4,4")], "(batch, 3, 4, 4), and by its metadata they are (B, 1, 4"),
        ("detect", [("batch,1,4,4", "batch,1,4,8")], "takes images of shape (batch, 1, 4, 8)"),
        ("classify", [("batch", "2")], "takes 2 images at a time, and no other number"),
        ("classify", [("labels", "label")], "'label', and a file of task=classify gives 'labels'"),
        ("segment", [("uint8.batch,4,4. mask", "int64[batch,4,4] mask"), ("to: int = 2", "to: int = 7")],
         "gives mask as tensor(int64), and it is tensor(uint8)"),
    ],
)  # fmt: skip
def test_a_graph_that_is_not_what_the_metadata_say_is_refused(tmp_path, task, replace, message):
    assert message in refused(write_onnx(tmp_path / "a.onnx", task, replace=replace))


@pytest.mark.parametrize(
    ("task", "changes", "replace", "message"),
    [
        ("classify", {"class_names": ["a"], "category_ids": [0]}, [],
         "gives probabilities of shape (1, 2) for images of shape (1, 1, 4, 4) and 1 classes. Expected (1, 1)."),
        ("classify", {}, [("Flatten", "Flatten<axis: int = 0>"), (r"float\[16,2\]", "float[8,4]")],
         "fails on a batch of 1 x 1 x 4 x 4: "),
        ("detect", {}, [(r"1,3\] score = {0.9,", "1,2] score = {"), (r"float\[batch,3\]", "float[batch,n]")],
         "gives scores of shape (1, 2) for images of shape (1, 1, 4, 4) and 2 classes. Expected (1, 3)."),
    ],
    ids=["fewer names than classes", "an operator that fails", "fewer scores than boxes"],
)  # fmt: skip
def test_outputs_that_do_not_fit_the_images_and_classes_are_refused(tmp_path, task, changes, replace, message):
    model = OnnxModel(write_onnx(tmp_path / "a.onnx", task, replace=replace, **changes))
    with pytest.raises(UserError) as caught:
        model(torch.zeros(1, 1, 4, 4, dtype=torch.uint8))
    assert message in str(caught.value)


def test_a_label_of_no_class_is_refused(tmp_path):
    model = OnnxModel(write_onnx(tmp_path / "a.onnx", "detect", replace=[("label = {1, 0", "label = {2, 0")]))
    with pytest.raises(UserError, match="gives labels -1 to 2, and has 2 classes"):
        model(torch.zeros(1, 1, 4, 4, dtype=torch.uint8))


@pytest.mark.parametrize(
    ("weights", "message"),
    [("nan", "gives probabilities that are not finite numbers: the file is damaged"), ("9.0", "above 1")],
)
def test_values_that_no_model_gives_are_refused(tmp_path, weights, message):
    """Numbers that are none, and probabilities above 1."""
    replace = [(r"probabilities = Softmax\(logits\)", "probabilities = Mul(logits, logits)")]
    if weights == "nan":
        replace = [
            (r"probabilities = Softmax\(logits\)", "minus = Sub(logits, logits)\nprobabilities = Div(minus, minus)")
        ]
    model = OnnxModel(write_onnx(tmp_path / "a.onnx", replace=replace))
    with pytest.raises(UserError, match=message):
        model(torch.full((1, 1, 4, 4), 255, dtype=torch.uint8))


def test_a_class_name_that_stands_twice_is_refused(tmp_path):
    assert "a name stands twice among the class_names" in refused(
        write_onnx(tmp_path / "a.onnx", class_names=["a", "a"])
    )
