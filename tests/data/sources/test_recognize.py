"""A folder given to the wrong data set is recognised, and forms that none reads are told what to do."""

import json

import numpy
import pytest
from PIL import Image

from visionkit.data.sources import parse_source
from visionkit.data.sources.recognize import recognize
from visionkit.errors import UserError

LABELME = {"version": "5.2", "shapes": [{"label": "cat", "points": [[1, 2]]}], "imagePath": "a.jpg", "imageData": None}
VIA = {"_via_settings": {}, "_via_img_metadata": {"a.jpg1": {"regions": [{"shape_attributes": {}}]}}}
CREATE_ML = [{"image": "a.jpg", "annotations": [{"label": "cat", "coordinates": {"x": 1}}]}]
CVAT = '<?xml version="1.0"?><annotations><version>1.1</version><meta></meta><image id="0" name="a.jpg"/></annotations>'
KITTI = "Car 0.00 0 -1.58 587.01 173.33 614.12 200.12 1.65 1.67 3.64 -0.65 1.71 46.70 -1.59\n"


@pytest.fixture
def make_form(tmp_path, make_tree, make_voc, make_coco, make_yolo, save_image):
    """A folder of a form by its name."""

    def write(name, content, *, images="images"):
        root = tmp_path / "other"
        save_image(root / images / "a.jpg")
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content if isinstance(content, str) else json.dumps(content))
        return root

    def write_masks():
        for split in ("train", "val"):
            save_image(tmp_path / "scenes" / "images" / split / "a.jpg", size=(8, 8))
            (tmp_path / "scenes" / "masks" / split).mkdir(parents=True)
            Image.new("L", (8, 8)).save(tmp_path / "scenes" / "masks" / split / "a.png")
        return tmp_path / "scenes"

    makers = {
        "voc": make_voc,
        "coco": make_coco,
        "coco in splits": lambda: write(
            "train/_annotations.coco.json", {"images": [], "categories": []}, images="train"
        ),
        "yolo": make_yolo,
        "yolo in splits": lambda: write("train/labels/a.txt", "0 0.5 0.5 0.25 1\n", images="train/images"),
        "masks": write_masks,
        "folder": lambda: make_tree({"cat": 2, "dog": 2}),
        "folder in splits": lambda: make_tree({"train/cat": 2, "train/dog": 2, "val/cat": 1, "val/dog": 1}),
        "table": lambda: write("labels.csv", "image,label\na.jpg,cat\n"),
        "cityscapes": lambda: write("gtFine/train/a/a.txt", "", images="leftImg8bit/train/a"),
        "ade20k": lambda: write("annotations/training/a.txt", "", images="images/training"),
        "labelme": lambda: write("a.json", LABELME, images="."),
        "via": lambda: write("via.json", VIA),
        "create ml": lambda: write("annotations.json", CREATE_ML),
        "cvat": lambda: write("annotations.xml", CVAT),
        "boxes": lambda: write("train/_annotations.csv", "filename,class,xmin,ymin\na.jpg,cat,1,2\n", images="train"),
        "kitti": lambda: write("training/label_2/000000.txt", KITTI, images="training/image_2"),
    }
    return lambda name: makers[name]()


FORMS = ["voc", "coco", "coco in splits", "yolo", "yolo in splits", "masks", "folder", "folder in splits"]
FORMS += ["cityscapes", "ade20k", "table"]
OTHERS = {
    "labelme": (r"labelme's JSON files \('a.json'\)", r"pip install labelme2coco; then type dataset=coco"),
    "via": (
        r"the VGG Image Annotator's JSON \('via.json'\)",
        r"Export Annotations \(COCO format\) and type dataset=coco",
    ),
    "create ml": (r"Create ML's JSON \('annotations.json'\)", r"convert it to COCO's form"),
    "cvat": (r"CVAT's own XML \('annotations.xml'\)", r"export it from CVAT as 'COCO 1.0' and type dataset=coco"),
    "boxes": (r"a table of boxes \('train/_annotations.csv'\)", r"convert the boxes to COCO's or YOLO's form"),
    "kitti": (r"KITTI \('training/label_2/000000.txt'\)", r"convert the boxes to COCO's or YOLO's form"),
}


@pytest.mark.parametrize("form", FORMS)
def test_the_form_of_a_folder_is_recognised(make_form, form):
    assert recognize(make_form(form))[0].dataset == form.partition(" ")[0]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    "dataset", ["voc", "coco", "yolo", "masks", "folder", "imagenet", "cityscapes", "ade20k", "table"]
)
def test_a_folder_given_to_the_wrong_data_set_is_recognised(make_form, settings, dataset, form):
    right = form.partition(" ")[0]
    source = parse_source(settings(dataset, root=str(make_form(form)), image_size=16))
    if right == dataset or (dataset, form) == ("imagenet", "folder in splits"):
        pytest.skip("its own")
    with pytest.raises(UserError, match=rf"This looks like .*: dataset={right}$|For another layout: dataset={right}"):
        source.check()


@pytest.mark.parametrize("form", OTHERS)
@pytest.mark.parametrize("dataset", ["voc", "coco", "yolo", "folder", "table"])
def test_a_form_that_no_data_set_reads_is_told_what_to_do(make_form, settings, dataset, form):
    name, advice = OTHERS[form]
    with pytest.raises(UserError, match=rf"This looks like {name}: .*{advice}"):
        parse_source(settings(dataset, root=str(make_form(form)), image_size=16)).check()


def test_a_benchmark_is_named_although_its_files_are_those_of_a_general_form(make_form, settings):
    root = make_form("ade20k")
    pixels = numpy.arange(64, dtype=numpy.uint8).reshape(8, 8)
    for number in range(2):
        Image.fromarray(pixels).save(root / "annotations" / "training" / f"{number}.png")
        Image.fromarray(pixels).save(root / "images" / "training" / f"{number}.png")
    with pytest.raises(
        UserError, match=r"hold 64 values .* the name of each id from 0. This looks .*: dataset=ade20k$"
    ):
        parse_source(settings("masks", root=str(root), image_size=16)).check()


def test_a_fault_of_the_right_form_is_not_taken_for_another_one(make_yolo, settings):
    root = make_yolo(names="[]")
    with pytest.raises(UserError) as raised:
        parse_source(settings("yolo", root=str(root), image_size=16)).check()
    assert "looks like" not in str(raised.value)


def test_classes_may_bear_the_names_of_parts_of_other_forms(make_tree, settings):
    source = parse_source(settings("folder", root=str(make_tree({"images": 9, "landscapes": 9})), image_size=16))
    assert source.info().class_names == ("images", "landscapes")
    source = parse_source(settings("folder", root=str(make_tree({"image": 9, "label": 9}, name="b")), image_size=16))
    assert source.info().class_names == ("image", "label")


@pytest.mark.parametrize(
    ("images", "masks"), [("train_images", "train_masks"), ("imagesTr", "labelsTr"), ("train", "trainannot")]
)
def test_masks_beside_images_are_told_what_to_type_and_that_is_read(make_tree, settings, images, masks):
    root = make_tree({images: 9})
    (root / masks).mkdir()
    for number, image in enumerate(sorted((root / images).iterdir())):
        size = Image.open(image).size
        Image.fromarray(numpy.full(size[::-1], number % 2, dtype=numpy.uint8)).save(root / masks / f"{image.stem}.png")
    with pytest.raises(UserError, match=r"dataset=masks$"):
        parse_source(settings("folder", root=str(root), image_size=16)).check()
    assert parse_source(settings("masks", root=str(root), image_size=16)).info().class_names == ("0", "1")


@pytest.mark.parametrize("root", ["nowhere", "empty", "file.txt"])
def test_what_is_no_folder_or_empty_is_no_form(tmp_path, root):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file.txt").write_text("0 0.5 0.5 0.25 1\n")
    assert recognize(tmp_path / root) == []


def test_the_look_is_bounded_however_large_the_folder_is(tmp_path, monkeypatch):
    for number in range(300):
        (tmp_path / f"{number:03}").mkdir()
        (tmp_path / f"{number:03}" / "notes.txt").write_text("none\n" * 20_000)
    opened = []
    monkeypatch.setattr("builtins.open", lambda *args, _open=open: opened.append(args[0]) or _open(*args))
    assert recognize(tmp_path) == []
    assert len(opened) <= 10


def test_links_in_a_circle_are_no_folders(tmp_path):
    (tmp_path / "round").symlink_to(tmp_path / "round")
    (tmp_path / "a.json").write_text(json.dumps(LABELME))
    assert recognize(tmp_path) is not None
