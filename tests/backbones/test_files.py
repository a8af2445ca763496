"""Backbone files: what is read, and what is refused before it does harm."""

import pytest

from visionkit.backbones import load_backbone_file
from visionkit.backbones.files import backbone_file
from visionkit.errors import UserError


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "the file is empty"),
        ("# only a comment\n", "the file is empty"),
        ("- a\n- b\n", "expected a mapping"),
        ("just words", "expected a mapping"),
        ("name: a\nname: b\n", "line 2, column 1: not a plain YAML file: the key 'name' is given twice"),
        ("stages:\n  a: {conv: {type: conv, type: basic}}\n", "the key 'type' is given twice"),
        ("name: [1, 2\n", "not a plain YAML file"),
        ("a: &x {b: 1}\nc: *x\n", "the alias '*x' is not allowed"),
        ("name: !!python/object/apply:os.system [ls]\n", "not a plain YAML file"),
        ("defaults: {norm: batch}\n", "Use 'layer_defaults'"),
        ("name: ${oc.env:HOME}\n", "interpolations"),
        ("a: " + "[" * 30_000, "nested too deeply"),
        ("? [x, y]\n: 1\n", "a key must be a word"),
        ("name: x\n" + "#" * 300_000, "at most 256 KiB"),
    ],
)
def test_what_is_no_backbone_file_is_refused_by_name(tmp_path, content, message):
    file = tmp_path / "net.yaml"
    file.write_text(content)
    with pytest.raises(UserError) as error:
        load_backbone_file(file)
    assert str(error.value).startswith(str(file))
    assert message in str(error.value)


def test_bytes_that_are_no_text_are_refused(tmp_path):
    (tmp_path / "net.yaml").write_bytes(b"\xff\x00\x81")
    with pytest.raises(UserError, match="not a plain YAML file"):
        load_backbone_file(tmp_path / "net.yaml")


@pytest.mark.parametrize("text", ["1e-5", "1E-5", "+1e-5", "0.1e-4", ".1e-4", "1.0e-5", "0.00001"])
def test_floats_are_read_as_numbers_in_every_spelling(tmp_path, text):
    (tmp_path / "net.yaml").write_text(f"eps: {text}\n")
    assert load_backbone_file(tmp_path / "net.yaml")["eps"] == pytest.approx(1e-5)


def test_a_mistyped_name_suggests_the_nearest():
    with pytest.raises(UserError, match=r"no backbone is called 'lenett'. Did you mean 'lenet'\?"):
        backbone_file("lenett")


def test_a_missing_file_is_named_with_where_it_was_looked_for():
    with pytest.raises(UserError, match=r"backbone file 'nets/mine.yaml' does not exist \(looked in"):
        backbone_file("nets/mine.yaml")


def test_a_folder_of_the_users_own_is_searched_too(tmp_path):
    (tmp_path / "backbone").mkdir()
    (tmp_path / "backbone" / "mine.yaml").write_text("name: mine\n")
    assert backbone_file("mine", [tmp_path]) == tmp_path / "backbone" / "mine.yaml"


def test_a_file_that_was_edited_is_read_again_and_each_reader_has_its_own_copy(tmp_path):
    file = tmp_path / "net.yaml"
    file.write_text("name: first\nstages: {}\n")
    load_backbone_file(file)["name"] = "changed"
    assert load_backbone_file(file)["name"] == "first"
    file.write_text("name: second\nstages: {}\n")
    assert load_backbone_file(file)["name"] == "second"
