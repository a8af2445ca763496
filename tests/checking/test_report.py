"""A report in words and as a document."""

import json

import pytest

from visionkit.checking.report import CheckReport, by_severity
from visionkit.data.findings import Finding

SUMMARY = {
    "files": 5, "classes": ["cat", "dog"],
    "splits": {"train": {"images": 4, "height": {"smallest": 3.0, "median": 4.0, "largest": 9.0}, "per_class": [3, 1]}},
}  # fmt: skip


@pytest.fixture
def report():
    findings = [
        *Finding.of("file-empty", [f"{number}.jpg" for number in range(12)]),
        *Finding.of("system-files", ["Thumbs.db"]),
        *Finding.of("splits-overlap", ["a.jpg"], split="val", other="train"),
    ]
    keys = {"allow_overlap"}
    return CheckReport(
        "folder", "photos", keys, SUMMARY, by_severity(findings), ("held out: 2",), {}, (), (), True, 1.25
    )


def test_errors_stand_first_and_make_the_exit_code(report):
    assert [finding.code for finding in report.findings] == ["splits-overlap", "file-empty", "system-files"]
    assert (report.exit_code, report.has_errors, report.counts) == (2, True, {"error": 1, "warning": 1, "note": 1})
    assert CheckReport("folder", None, (), SUMMARY, ()).exit_code == 0


def test_lines_name_the_first_five_places_and_what_to_do(report):
    lines = report.lines()
    assert lines[0] == "error    splits-overlap: 1 file(s) of val that are in train too"
    at = lines.index("warning  file-empty: 12 image file(s) of 0 bytes")
    assert [line.strip() for line in lines[at + 1 : at + 8]] == [
        "0.jpg", "1.jpg", "2.jpg", "3.jpg", "4.jpg", "and 7 more", "Replace or remove them.",
    ]  # fmt: skip
    assert lines[-1] == "1 error, 1 warning, 1 note (all pixels, 1.2 s)"


def test_grids_show_splits_and_classes(report):
    splits, classes = report.grids()
    assert splits.title == "folder: photos, 5 image files"
    assert (splits.headings, splits.rows) == (["split", "images", "height"], [["train", "4", "3 .. 4 .. 9"]])
    assert (classes.headings, classes.rows) == (["class", "train"], [["cat", "3"], ["dog", "1"]])


def test_the_document_is_plain_and_whole(report):
    document = json.loads(json.dumps(report.to_json()))
    assert document["counts"] == {"error": 1, "warning": 1, "note": 1}
    assert document["notes"] == ["held out: 2"]
    first = document["findings"][0]
    assert (first["code"], first["severity"], first["count"]) == ("splits-overlap", "error", 1)
    assert "dataset.allow_overlap=true" in first["remedy"]
    assert len(document["findings"][1]["places"]) == 10
