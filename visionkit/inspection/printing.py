"""Printing of inspections: a table, totals and explanations, or a comparison of several networks."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from visionkit.console import print_json, stdout_console
from visionkit.inspection.compare import comparison, difference_grid, differences, ratios
from visionkit.inspection.inspection import Inspection, InspectOptions
from visionkit.inspection.stages import stage_bars, stage_shares
from visionkit.inspection.tables import layer_grid, total_lines
from visionkit.report.tables import Grid, print_grid
from visionkit.text import printable

__all__ = ["print_inspections"]


_MORE_COLUMNS = "columns=all adds jump, offset, padding, sizes and weights by formula, neurons, connections and memory."


def print_inspections(inspections: Sequence[Inspection], options: InspectOptions) -> None:
    """Print the inspection of one network, or the comparison of several."""
    if len(inspections) > 1 and options.by == "layer":
        _print_comparison(inspections, options)
    elif options.format == "json":
        documents = [inspection.to_json(by=options.by, with_explanations=options.explain) for inspection in inspections]
        print_json(documents[0] if len(documents) == 1 else {"backbones": documents})
    else:
        for inspection in inspections:
            _print_table(inspection, options)


def _print_table(inspection: Inspection, options: InspectOptions) -> None:
    grid = (
        stage_bars(inspection.net)
        if options.by == "stage"
        else layer_grid(inspection.net, inspection.layers, inspection.totals, columns=options.columns)
    )
    if options.format == "csv" and options.by == "layer":
        grid = Grid.of_mappings([row.to_json() for row in inspection.layers])
    elif options.format == "csv":
        grid = Grid.of_mappings(stage_shares(inspection.net))
    print_grid(grid, options.format)
    if options.format == "text":
        console = stdout_console()
        if options.by == "layer" and options.columns == "main":
            console.print(_MORE_COLUMNS, style="dim", soft_wrap=True)
        for line in total_lines(inspection.totals):
            console.print(line, soft_wrap=True)
        if inspection.net.num_classes is None:
            addition = "a classifier" if inspection.task == "classify" else "what stands on it"
            console.print(f"The backbone alone; num_classes=1000 adds {addition}.", style="dim", soft_wrap=True)
        _print_explanations(inspection)
    elif options.format == "markdown":
        print(printable("\n".join(["", *(f"- {line}" for line in total_lines(inspection.totals))]), keep="\n"))
        _print_explanations(inspection)


def _print_explanations(inspection: Inspection) -> None:
    console = stdout_console()
    for explanation in inspection.explanations:
        console.print()
        console.print(explanation.title, style="bold")
        for label, text in explanation.lines:
            console.print(f"  {label:<12} {text}", soft_wrap=True)
    for warning in inspection.warnings:
        console.print()
        console.print(Text.assemble(("Mind:", "bold"), f" {warning}"), soft_wrap=True)


def _print_comparison(inspections: Sequence[Inspection], options: InspectOptions) -> None:
    pairs = [(inspection.net, inspection.totals) for inspection in inspections]
    files = [inspection.backbone for inspection in inspections]
    if options.format == "json":
        documents = []
        for inspection in inspections:
            document = inspection.to_json(by=options.by, with_explanations=options.explain)
            del document["layers"]
            documents.append(document)
        print_json({"backbones": documents, "differences": differences(files), "ratios": ratios(pairs)})
        return
    if options.format != "csv":
        print_grid(difference_grid([net.name for net, _ in pairs], files), options.format)
        print()
    print_grid(comparison(pairs, exact=options.format == "csv"), options.format)
    if options.format == "csv":
        return
    if all(net.num_classes is None for net, _ in pairs):
        addition = "classifiers" if inspections[0].task == "classify" else "what stands on them"
        stdout_console().print(f"The backbones alone; num_classes=1000 adds {addition}.", style="dim", soft_wrap=True)
    for inspection in inspections:
        if inspection.explanations or inspection.warnings:
            stdout_console().print()
            stdout_console().print(inspection.net.name, style="bold underline")
            _print_explanations(inspection)
