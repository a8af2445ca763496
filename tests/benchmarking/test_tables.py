"""The table and the document of a benchmark."""

from pathlib import Path

from visionkit.benchmarking.benchmark import Benchmark, Row
from visionkit.benchmarking.networks import NetworkSpec
from visionkit.benchmarking.tables import MEASURED, benchmark_document, benchmark_grid
from visionkit.export.timing import Percentiles, WarmUp

TIMES = Percentiles(p50=0.0123456, p90=0.02, p99=0.25, mean=0.016, calls=77)


def example(*, stable=True):
    run = NetworkSpec("lenet", {}, Path("runs/a"))
    rows = [
        Row(run, "eager", 8, (32, 48), "val", TIMES, WarmUp(20, 1.5, stable), score=0.98765, memory=12_600_000.0),
        Row(run, "compile", 8, (32, 48), "val", error="torch.compile failed: no compiler"),
    ]
    return Benchmark("classify", "val/accuracy", "cpu", "32", 2, rows, ["a note"])


def test_a_row_shows_milliseconds_images_per_second_memory_and_score():
    grid = benchmark_grid(example())
    assert list(grid.headings[4:]) == ["p50 ms", "p90 ms", "p99 ms", "images / s", "memory MB", "val/accuracy"]
    assert grid.rows[0] == ["lenet", "eager", "8", "32x48", "12.3", "20", "250", "500", "13", "0.9877"]
    assert grid.rows[1][4:] == ["-"] * 6
    assert grid.title.endswith(", 2 threads")


def test_below_the_table_stand_what_was_measured_the_notes_and_each_error_once():
    benchmark = example(stable=False)
    benchmark.rows.append(benchmark.rows[1])
    first, images, second, third, fourth = benchmark_grid(benchmark).notes
    assert (first, images, second) == (MEASURED, "Images are those of the val split.", "a note")
    assert third.endswith("those of a busy machine: lenet eager at batch 8")
    assert fourth == "lenet compile: torch.compile failed: no compiler"


def test_without_scores_and_memory_their_columns_are_left_out():
    benchmark = example()
    benchmark.rows[0].score = benchmark.rows[0].memory = None
    assert benchmark_grid(benchmark).headings[-1] == "images / s"


def test_the_document_has_figures_errors_versions_and_hardware():
    document = benchmark_document(example(), {"seconds": 3}, picture="a.png")
    eager, compiled = document["rows"]
    assert (eager["p50_ms"], eager["p99_ms"], eager["images_per_second"]) == (12.3456, 250.0, 500.0)
    assert (eager["run"], eager["score"], eager["memory_bytes"]) == ("runs/a", 0.98765, 12_600_000)
    assert (eager["calls"], eager["warm_up_calls"], eager["first_call_ms"], eager["stable"]) == (77, 20, 1500.0, True)
    assert (compiled["error"], "p50_ms" in compiled) == ("torch.compile failed: no compiler", False)
    assert (document["threads"], document["environment"]["threads"], document["picture"]) == (2, 2, "a.png")
    assert {"torch", "onnxruntime", "python"} <= set(document["environment"]["versions"])
    assert document["environment"]["cpu"]
