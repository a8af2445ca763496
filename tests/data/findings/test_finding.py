import dataclasses
import inspect
import re
import string
import subprocess
import sys
from pathlib import Path

import pytest

from visionkit.data.findings import CATALOGUE, MAX_LISTED, Finding, check_findings
from visionkit.data.sources.base import SOURCES as SOURCES_OF_DATA
from visionkit.errors import UserError

ROOT = Path(__file__).parents[3]
SOURCES = [file.read_text(encoding="utf-8") for file in (ROOT / "visionkit").rglob("*.py")]


def test_a_finding_counts_and_names_the_first_places():
    (finding,) = Finding.of("image-listed-missing", [f"{n}.jpg" for n in range(12)], split="val")
    assert finding.count == 12
    assert finding.places == tuple(f"{n}.jpg" for n in range(MAX_LISTED))
    text = "12 listed image(s) of val that do not exist dropped: "
    assert finding.note == f"{text}0.jpg, 1.jpg, 2.jpg and 9 more"
    assert finding.details.startswith(f"{text}0.jpg, 1.jpg")
    assert finding.details.endswith("8.jpg, 9.jpg and 2 more")
    assert Finding.of("image-listed-missing", ["0.jpg"] * 3, split="val")[0].details == ""
    assert Finding.of("box-empty", []) == []


def test_a_warning_is_an_error_where_the_run_is_strict():
    findings = Finding.of("box-empty", ["a.xml object 2", "b.xml object 1"])
    check_findings(findings, dataset="voc", strict=False)
    with pytest.raises(UserError, match=r"'voc': 2 box.* dropped: a.xml object 2 \(and 1 more\). Mend .* strict=false"):
        check_findings(findings, dataset="voc", strict=True)


def test_a_note_is_no_error():
    check_findings(Finding.of("image-no-labels", ["a.jpg"], split="train"), dataset="yolo", strict=True)


@pytest.mark.parametrize("strict", [False, True])
def test_an_error_is_raised_before_warnings(strict):
    findings = [*Finding.of("box-empty", ["a"]), *Finding.of("splits-overlap", ["b.jpg"], split="test", other="train")]
    with pytest.raises(UserError, match=r"1 file\(s\) of test that are in train too: b.jpg. .*allow_overlap=true$"):
        check_findings(findings, dataset="folder", strict=strict)


@pytest.mark.parametrize("code", CATALOGUE)
def test_a_kind_is_filled_in_where_it_is_found(code):
    """Each code is used by a reader, which gives what the texts leave open."""
    used = [text for text in SOURCES if f'"{code}"' in text]
    assert len(used) >= 2, "no reader finds it"
    kind = CATALOGUE[code]
    blanks = {name for text in (kind.text, kind.remedy) for _, name, _, _ in string.Formatter().parse(text) if name}
    for name in blanks:
        assert any(re.search(rf"\b{name}=", text) for text in used), name
    assert kind.remedy.endswith((".", "true", "}")) or "dataset." in kind.remedy or "=" in kind.remedy


@pytest.mark.parametrize("dataset", SOURCES_OF_DATA.names())
def test_a_remedy_names_only_settings_that_the_data_set_has(dataset):
    keys = {setting.name for setting in dataclasses.fields(SOURCES_OF_DATA.get(dataset))}
    for code, kind in CATALOGUE.items():
        blanks = {name for _, name, _, _ in string.Formatter().parse(kind.remedy) if name}
        remedy = Finding(code, 1, values=dict.fromkeys(blanks, "1")).remedy_for(keys)
        assert remedy, code
        assert set(re.findall(r"dataset\.(\w+)", remedy)) <= keys, code


@pytest.mark.parametrize("dataset", SOURCES_OF_DATA.names())
def test_the_messages_of_a_data_set_name_only_settings_that_it_has(dataset):
    """Those of its own folder of readers; what several data sets share is in the folders above."""
    source = SOURCES_OF_DATA.get(dataset)
    folder = Path(inspect.getfile(source)).parent
    sharing = [SOURCES_OF_DATA.get(name) for name in SOURCES_OF_DATA.names()]
    sharing = [other for other in sharing if Path(inspect.getfile(other)).parent == folder]
    keys = {setting.name for other in sharing for setting in dataclasses.fields(other)}
    text = "".join(file.read_text(encoding="utf-8") for file in folder.glob("*.py"))
    assert set(re.findall(r"[ \"']dataset\.([a-z_]+)=", text)) <= keys | {"type"}


def test_strict_runs_are_told_what_their_data_set_has():
    findings = Finding.of("mask-outside-classes", ["a.png"])
    for dataset, advice in (("masks", "dataset.class_map={VALUE: NAME}"), ("cityscapes", "Masks of other classes:")):
        keys = {setting.name for setting in dataclasses.fields(SOURCES_OF_DATA.get(dataset))}
        with pytest.raises(UserError, match=advice):
            check_findings(findings, dataset=dataset, keys=keys, strict=True)


def test_the_documentation_has_a_page_for_each_code():
    tool = ROOT / "tools" / "write_findings_docs.py"
    done = subprocess.run([sys.executable, tool, "--check"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")
