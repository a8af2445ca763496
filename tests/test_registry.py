"""Names of a configuration and what stands behind them: imported when asked for, a plugin's as ours."""

import importlib.util
import subprocess
import sys

import pytest

from visionkit.errors import UserError
from visionkit.registry import Registry, Row, check_installed, load


class Spec:
    """A specification."""


class Module:
    """What it describes."""


def test_rows_are_imported_when_they_are_asked_for():
    code = (
        "import sys; from visionkit.registry import Registry, Row; "
        "table = Registry('thing', {'a': Row('colorsys:rgb_to_hsv', 'wave:Wave_read')}); "
        "assert table.names() == ['a'] and not {'colorsys', 'wave'} & set(sys.modules); "
        "table.get('a'); assert 'colorsys' in sys.modules and 'wave' not in sys.modules"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True).returncode == 0


def test_a_row_names_a_specification_and_its_module():
    table = Registry("thing", {"a": Row(f"{__name__}:Spec", f"{__name__}:Module")})
    spec = table.get("a")
    assert (spec.__name__, table.name_of(spec), table.module_of(spec).__name__) == ("Spec", "a", "Module")


def test_a_decorated_class_brings_its_module_and_one_derived_from_it_inherits_it():
    table = Registry("thing")
    table.register("a", module=Module)(Spec)
    derived = table.register("b")(type("Derived", (Spec,), {}))
    assert table.module_of(derived) is table.module_of(Spec) is Module


def test_a_specification_without_a_module_says_where_it_is_expected():
    table = Registry("thing")
    table.register("a")(Spec)
    with pytest.raises(UserError, match=r"thing 'a' .*module=\"package.module:Class\""):
        table.module_of(Spec)


def test_an_unknown_name_lists_the_known_ones_and_the_nearest():
    with pytest.raises(
        UserError, match=r"no thing is called 'spam'. Did you mean 'span'\? Known: egg, span. .*plugins="
    ):
        Registry("thing", {"span": Row(Spec), "egg": Row(Spec)}).get("spam")


def test_one_name_for_two_classes_is_refused_and_the_same_class_twice_is_not():
    table = Registry("thing", {"a": Row(f"{Spec.__module__}:Spec")})
    assert table.register("a")(Spec) is Spec
    with pytest.raises(UserError, match=r"thing 'a' is defined twice: in .* Rename one"):
        table.register("a")(Module)


def test_a_class_is_loaded_as_it_is():
    assert load(Module) is Module


@pytest.mark.parametrize("path", ["nowhere:Class", f"{__name__}:Nothing", f"{__name__}"])
def test_a_path_that_names_no_class_is_the_users_mistake(path):
    with pytest.raises(UserError, match=r"names no class: .* Expected \"package.module:Class\""):
        load(path)


def test_a_missing_package_is_told_with_the_line_that_installs_it(monkeypatch):
    found = importlib.util.find_spec
    missing = {"gradio", "python_multipart"}
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name in missing else found(name))
    with pytest.raises(
        UserError,
        match=r'demo needs gradio and python-multipart, which are not installed. Try: pip install "visionkit\[demo\]"',
    ):
        check_installed("gradio", "python_multipart", "json", needed_by="demo", extra="demo")
    assert check_installed("json", needed_by="demo", extra="demo") is None
