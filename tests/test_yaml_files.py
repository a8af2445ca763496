"""One reader of YAML: plain values within bounds, as Hydra reads them; what is dangerous or doubtful is refused."""

import pytest

from visionkit.errors import UserError
from visionkit.yaml_files import dump_yaml, has_interpolation, load_yaml, read_yaml

LAUGHS = "a0: &a0 [lol, lol]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 60))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (LAUGHS, "line 2, column 10: not a plain YAML file: the alias '*a0' is not allowed; write the value out"),
        ("a: &a [*a]", "line 1, column 8: not a plain YAML file: the alias '*a' is not allowed"),
        ("a: !!python/object/apply:os.system [ls]", "the tag 'tag:yaml.org,2002:python/object/apply:os.system' is not"),
        ("a: !!int '3'", "the tag 'tag:yaml.org,2002:int' is not allowed"),
        ("a: !x b", "the tag '!x' is not allowed"),
        ("[" * 100_000, "line 1, column 51: not a plain YAML file: it is nested too deeply, more than 50 levels"),
        ("{a: " * 100_000, "nested too deeply"),
        ("- " * 100_000, "nested too deeply"),
        ("a: " + "9" * 5_000, "a number of 5,000 characters; expected at most 64"),
        ("a: 1." + "9" * 5_000, "a number of 5,002 characters"),
        ("a: " + "1:" * 5_000 + "1", "a number of 10,001 characters"),
        ("a: 0x_", "not a plain YAML file: invalid literal"),
        ("a: 1\na: 2", "line 2, column 1: not a plain YAML file: the key 'a' is given twice"),
        ("[a]: 1", "a key must be a word"),
        ("<<: {a: 1}", "'<<' is not allowed; write the keys out"),
        ("a: off", "line 1, column 4: not a plain YAML file: write false, or the word in quotes: 'off'"),
        ("a: [Yes]", "write true, or the word in quotes: 'Yes'"),
        ("a: 1\n---\nb: 2", "but found another document"),
        ("a: \x07", "special characters are not allowed"),
    ],
)
def test_what_is_not_plain_is_refused_with_its_place(text, problem):
    with pytest.raises(UserError) as error:
        load_yaml(text, where="'f.yaml'")
    assert str(error.value).startswith(("'f.yaml', line", "'f.yaml': "))
    assert problem in str(error.value)


def test_the_number_of_values_is_bounded(monkeypatch):
    monkeypatch.setattr("visionkit.yaml_files._MAX_NODES", 10)
    assert load_yaml(str(list(range(9))), where="f") == list(range(9))
    with pytest.raises(UserError, match="it has more than 10 values"):
        load_yaml(str(list(range(10))), where="f")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("a: [true, False, null, ~, 1, 0.5, 1e-3, 0x10]", {"a": [True, False, None, None, 1, 0.5, 0.001, 16]}),
        ("a: ['on', \"no\", 2024-01-01, =]", {"a": ["on", "no", "2024-01-01", "="]}),
        ("{0: cat, 1: dog}", {0: "cat", 1: "dog"}),
        ("a: &unused b", {"a": "b"}),
    ],
)
def test_plain_values_are_read(text, value):
    assert load_yaml(text, where="f") == value


@pytest.mark.parametrize("where", ["a: off", "a: {b: [on]}"])
def test_the_doubtful_words_are_those_that_hydra_takes_for_booleans(where):
    from omegaconf import OmegaConf

    assert str(OmegaConf.create(where)) in ("{'a': False}", "{'a': {'b': [True]}}")


def test_scalars_are_kept_as_they_are_written():
    text = "names: [on, off, yes, no, null, ~, 1.0, 007, 1e3, 2024-01-01, 'x']\nnc: 11\ntest:\n"
    names = ["on", "off", "yes", "no", "null", "~", "1.0", "007", "1e3", "2024-01-01", "x"]
    assert load_yaml(text, where="f", as_written=True) == {"names": names, "nc": "11", "test": ""}


@pytest.mark.parametrize("text", [LAUGHS, "a: !!str b", "[" * 100_000, "a: 1\na: 2", "<<: {a: 1}"])
def test_bounds_hold_for_what_is_kept_as_written_too(text):
    with pytest.raises(UserError, match="not a plain YAML file"):
        load_yaml(text, where="f", as_written=True)


def test_what_is_written_is_read_again_without_aliases():
    shared = [1, 2]
    values = {"b": shared, "a": shared, "words": ["on", "no", "null", "1.0", "é"], "lr": 1e-05, "none": None}
    text = dump_yaml(values)
    assert "&" not in text
    assert load_yaml(text, where="f") == values
    assert list(load_yaml(text, where="f")) == list(values)


def test_a_file_is_bounded_and_named(tmp_path):
    file = tmp_path / "f.yaml"
    with pytest.raises(UserError, match=r"^run: '.*f.yaml' cannot be read: .*No such file"):
        read_yaml(file, where="run: ")
    file.write_bytes(b"\xff\x00")
    with pytest.raises(UserError, match=r"'.*f.yaml' cannot be read: 'utf-8' codec"):
        read_yaml(file)
    file.write_bytes("\ufeffa: é".encode())
    assert read_yaml(file) == {"a": "é"}
    file.write_bytes(b"#" * 5 * 1024**2)
    with pytest.raises(UserError, match=r"f.yaml' has 5 MiB, and such a file is read up to 4 MiB"):
        read_yaml(file)


def test_interpolations_are_found_in_keys_and_values():
    assert has_interpolation({"a": [{"b": "x${c}"}]})
    assert has_interpolation({"${a}": 1})
    assert not has_interpolation({"a": ["$", "{}", 1, None]})
