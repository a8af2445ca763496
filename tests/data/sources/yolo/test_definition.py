"""What the YAML file of a data set says, as people and tools write it."""

import pytest

from visionkit.data.sources import parse_source
from visionkit.errors import UserError


@pytest.fixture
def make_source(settings):
    return lambda root, **changes: parse_source(settings("yolo", root=str(root), image_size=32, **changes))


def sizes(source) -> dict[str, int]:
    return {name: len(samples) for name, samples in source.splits(seed=0).samples.items()}


@pytest.mark.parametrize("root", [".", "data.yaml", "./data.yaml", "../yolo", "../yolo/data.yaml"])
@pytest.mark.parametrize("path", ["", "path: .\n", "path: ./\n"])
def test_a_set_is_read_from_inside(make_source, make_yolo, monkeypatch, root, path):
    folder = make_yolo(text=f"{path}train: images/train\nval: images/val\nnames: [cat, dog]")
    monkeypatch.chdir(folder)
    splits = make_source(root).splits(seed=0)
    assert {name: len(samples) for name, samples in splits.samples.items()} == {"train": 6, "val": 2}
    assert [len(splits.samples["train"].annotation(index)) for index in range(6)] == [1] * 6
    assert splits.notes == []


@pytest.mark.parametrize(
    "text",
    [
        "train: ../images/train\nval: ../images/val",
        "train: images\\train\nval: .\\images\\val",
        'train: "..\\images\\train"\nval: ".\\images\\val"',
        'path: "C:\\new\\yolo"\ntrain: images/train\nval: images/val',
        'path: "C:\\\\new\\\\yolo"\ntrain: images/train\nval: images/val',
        "path: D:\\data\\yolo\ntrain: D:\\data\\yolo\\images\\train\nval: D:\\data\\yolo\\images\\val",
        "train: /content/yolo/images/train\nval: /content/yolo/images/val",
        "path: /workspace/yolo\ntrain: /workspace/yolo/images/train\nval: Images/Val",
        "Training: images/train\nVALIDATION: images/val",
        "train: images/train\nvalid: images/val\ntest:\n",
        "train: [images/train]\nval: [images/val]\ntest: null",
        "trainval: images/val\ntrain: images/train\nval: images/val\ntest: ''",
        "",
    ],
)
def test_splits_are_found_however_they_are_written(make_source, make_yolo, text):
    assert sizes(make_source(make_yolo(text=f"{text}\nnames: [cat, dog]"))) == {"train": 6, "val": 2}


def test_a_list_may_be_of_another_computer(make_source, make_yolo):
    root = make_yolo(text="train: train.txt\nval: val.txt\nnames: [cat, dog]")
    (root / "train.txt").write_bytes(
        "C:\\data\\yolo\\images\\train\\train0.png\r\nimages\\train\\train1.png".encode("utf-16")
    )
    (root / "val.txt").write_text("\ufeff/content/yolo/images/val/val0.png\ndata/images/val/val1.png\n")
    splits = make_source(root).splits(seed=0)
    assert splits.notes == []
    assert [splits.samples["train"].annotation(index).labels.tolist() for index in range(2)] == [[0], [1]]
    assert len(splits.samples["val"]) == 2


def test_names_are_kept_as_they_are_written(make_source, make_yolo):
    root = make_yolo(names="[on, off]")
    assert make_source(root).info().class_names == ("on", "off")
    text = "train: images/train\nval: images/val\nnc: 7\n"
    text += "names:\n  0: yes\n  1: no\n  2: null\n  3: 1.0\n  4: 007\n  5: ~\n  6: '8'\n"
    (root / "data.yaml").write_text(text)
    assert make_source(root).info().class_names == ("yes", "no", "null", "1.0", "007", "~", "8")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("names: [[a], b]", r"names in '.*' should be a list"),
        ("names: [a, b]\nkpt_shape: 17", r"kpt_shape in '.*' should be the number of points .*found \"17\". Try: kpt_"),
        ("names: [a, b]\nkpt_shape: [2, 4]", r"found \[\"2\", \"4\"\]"),
        ("names: [a, b]\nkpt_shape: [-2, 3]", r"kpt_shape in '.*' should be"),
        ("names: [a, b]\nval: [{x: y}]", r"has val: {\"x\": \"y\"}, but there is no such folder or file"),
        ("names: &n [a, b]\nx: *n", r"data.yaml', line 3, column 4: not a plain YAML file: the alias '\*n' is not"),
        ("names: !!python/object:os.x [a]", r"the tag '.*' is not allowed"),
    ],
)
def test_a_value_that_will_not_do_is_named(make_source, make_yolo, text, words):
    with pytest.raises(UserError, match=words):
        make_source(make_yolo(text=f"train: images/train\n{text}")).check()


def test_a_yaml_of_another_tool_beside_it_does_no_harm(make_source, make_yolo):
    root = make_yolo()
    (root / "deploy.yml").write_text("a: !Ref b")
    (root / "._data.yaml").write_bytes(b"\xff\x00")
    (root / "args.yaml").write_text("epochs: 3")
    assert make_source(root).info().class_names == ("cat", "dog")
