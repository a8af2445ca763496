"""The house: no circles of imports, faces that only hand names on, files and functions that are read at once."""

import ast
from pathlib import Path

import pytest

from tests.helpers.imports import circles, import_graph

REPOSITORY = Path(__file__).parents[1]
PACKAGE = REPOSITORY / "visionkit"
FILES = sorted([*PACKAGE.rglob("*.py"), *(REPOSITORY / "tools").glob("*.py")])
MOST_LINES, MOST_LINES_OF_A_FUNCTION = 300, 60


def write(folder, files):
    for name, text in files.items():
        path = folder / "house" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder / "house"


def test_no_two_files_of_the_package_import_each_other():
    assert circles(import_graph(PACKAGE)) == []


def test_a_circle_is_found_through_lazy_and_type_checking_imports_and_through_a_face(tmp_path):
    house = write(
        tmp_path,
        {
            "__init__.py": "",
            "a.py": "def f():\n    from house.b import g\n",
            "b.py": "from typing import TYPE_CHECKING as T\nif T:\n    from house.inner import h\ndef g(): ...\n",
            "inner/__init__.py": "from house.inner.c import h\n",
            "inner/c.py": "import house.a\ndef h(): ...\n",
            "outside.py": "from house import b\n",
        },
    )
    assert circles(import_graph(house)) == [["house.a", "house.b", "house.inner.c"]]


def test_files_that_import_one_way_are_no_circle(tmp_path):
    files = {
        "__init__.py": "",
        "a.py": "from house.b import x\nfrom house import c\n",
        "b.py": "import house.c\nx = 1\n",
    }
    house = write(tmp_path, files | {"c.py": ""})
    assert circles(import_graph(house)) == []


@pytest.mark.parametrize("face", sorted(PACKAGE.rglob("__init__.py")), ids=lambda p: str(p.parent.relative_to(PACKAGE)))
def test_an_init_file_defines_nothing_and_only_hands_names_on(face):
    defined = [
        node.name
        for node in ast.parse(face.read_text(encoding="utf-8")).body
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name != "__getattr__"
    ]
    assert defined == []


def test_every_room_says_in_its_init_file_what_it_is_for():
    without = [
        str(face.relative_to(PACKAGE))
        for face in PACKAGE.rglob("__init__.py")
        if not ast.get_docstring(ast.parse(face.read_text(encoding="utf-8")))
    ]
    assert without == []


def test_files_have_at_most_three_hundred_lines_and_functions_at_most_sixty():
    long_files = {}
    long_functions = {}
    for file in FILES:
        text = file.read_text(encoding="utf-8")
        if text.count("\n") > MOST_LINES:
            long_files[str(file.relative_to(REPOSITORY))] = text.count("\n")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef) and node.end_lineno - node.lineno + 1 > MOST_LINES_OF_A_FUNCTION:
                long_functions[f"{file.name}:{node.name}"] = node.end_lineno - node.lineno + 1
    assert (long_files, long_functions) == ({}, {})


@pytest.mark.parametrize("registry", ["visionkit.heads.spec:HEADS", "visionkit.necks.spec:NECKS"])
def test_the_rows_of_a_registry_lead_to_a_specification_and_the_module_it_describes(registry):
    from torch import nn

    from visionkit.registry import load

    table = load(registry)
    for name in table.names():
        spec = table.get(name)
        assert table.name_of(spec) == name
        assert issubclass(table.module_of(spec), nn.Module)


def test_the_rows_of_tasks_lead_to_their_classes():
    from lightning.pytorch import LightningModule

    from visionkit.data.collate.base import BatchReader
    from visionkit.inference.base import Inference
    from visionkit.metrics.base import TaskMetrics
    from visionkit.registry import load
    from visionkit.report.drawing.base import Drawing
    from visionkit.report.writers.base import ResultWriter
    from visionkit.tasks.info import TASKS

    for name, task in TASKS.items():
        assert task.name == name
        kinds = {
            task.batch_reader: BatchReader,
            task.metrics: TaskMetrics,
            task.training_metrics: TaskMetrics,
            task.module: LightningModule,
            task.inference: Inference,
            task.drawing: Drawing,
            task.writer: ResultWriter,
        }
        for path, kind in kinds.items():
            assert issubclass(load(path), kind)


ACROSS_MODULES = {
    "test_equality", "test_detector_equality", "test_segmenter_equality", "test_overfitting", "test_contract",
    "test_whole_models", "test_blocks", "test_families", "test_detection_datamodule", "test_weights",
    "backbones/weights/test_load", "models/weights/test_faster_rcnn", "models/weights/test_mask_rcnn",
    "inference/test_instance", "tasks/test_instance", "data/sources/yolo/test_masks", "data/collate/test_pickling",
    "report/test_strange_names", "data/test_image_reader", "training/test_python_objects",
    "training/test_averaging", "tasks/test_freezing", "tasks/test_mixing",
    "collate/test_joining", "checking/test_folder_faults", "checking/test_box_faults",
}  # fmt: skip
"""Tests of what several modules do together, by the end of their path."""


def test_a_test_file_bears_the_name_of_its_module_or_is_listed():
    folders = [folder for folder in (REPOSITORY / "tests").iterdir() if folder.is_dir()]
    without = []
    for folder in folders:
        if folder.name in ("e2e", "helpers", "__pycache__"):
            continue
        for file in folder.rglob("test_*.py"):
            name = file.relative_to(REPOSITORY / "tests").with_suffix("")
            module = PACKAGE / name.parent / f"{name.name.removeprefix('test_')}.py"
            listed = any(str(name) == entry or str(name).endswith(f"/{entry}") for entry in ACROSS_MODULES)
            if not module.exists() and not listed:
                without.append(str(name))
    assert without == []


def test_every_test_file_that_is_listed_exists():
    names = {file.relative_to(REPOSITORY).with_suffix("").as_posix() for file in REPOSITORY.glob("tests/**/test_*.py")}
    assert [entry for entry in sorted(ACROSS_MODULES) if not any(name.endswith(f"/{entry}") for name in names)] == []


def test_contracts_about_libraries_name_every_room():
    import tomllib

    contracts = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    rooms = {
        f"visionkit.{path.stem}"
        for path in PACKAGE.iterdir()
        if path.suffix == ".py" or (path / "__init__.py").exists()
    }
    rooms -= {"visionkit.__init__", "visionkit.__main__"}
    allowed = {
        "hydra": {"visionkit.cli"},
        "lightning": {"visionkit.tasks", "visionkit.training"},
        "matplotlib": {"visionkit.report"},
    }
    for contract in contracts:
        library = contract.get("forbidden_modules", [""])[0]
        if library in (*allowed, "optuna"):
            assert set(contract["source_modules"]) == rooms - allowed.get(library, set()), library
    layers = {name.strip(" ()") for layer in contracts[0]["layers"] for name in layer.replace("|", ":").split(":")}
    assert rooms <= layers


def test_every_file_of_the_package_is_in_git():
    import subprocess

    if not (REPOSITORY / ".git").exists():
        pytest.skip("this is no checkout")
    listed = subprocess.run(
        ["git", "ls-files", "-o", "visionkit"], cwd=REPOSITORY, capture_output=True, text=True
    ).stdout
    assert [name for name in listed.split() if name.endswith(".py")] == []
