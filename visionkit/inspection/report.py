"""What ``inspect`` is asked for, and which answer it gives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field
from rich.markup import escape

from visionkit.backbones import read_backbone
from visionkit.backbones.weights.sources import check_weights
from visionkit.blocks.shapes import pair
from visionkit.console import print_json, stdout_console
from visionkit.heads import parse_head
from visionkit.inspection.compare import comparison, ratios
from visionkit.inspection.explanations import Explanation, explain
from visionkit.inspection.layers import LayerRow, layer_rows
from visionkit.inspection.network import Network, network
from visionkit.inspection.stages import shares, stage_bars
from visionkit.inspection.tables import Grid, layer_grid, print_grid, total_lines
from visionkit.inspection.totals import Totals, totals
from visionkit.inspection.warnings import warnings

if TYPE_CHECKING:
    from visionkit.runs.config import RunConfig

__all__ = ["InspectOptions", "inspect"]

Count = Annotated[int, Field(gt=0, le=65_536)]


@dataclass(frozen=True, kw_only=True)
class InspectOptions:
    """The verb's own keys; None leaves the choice to the backbone's file or the data set."""

    image_size: Count | tuple[Count, Count] | None = None
    in_channels: Annotated[int, Field(gt=0, le=4096)] | None = None
    num_classes: Count | None = None
    batch_size: Count = 1
    depth: Count = 2
    by: Literal["layer", "stage"] = "layer"
    explain: bool = False
    format: Literal["text", "json", "csv", "markdown"] = "text"


@dataclass(frozen=True)
class _Answer:
    """All that was found out of one network, which serves a task."""

    task: str
    net: Network
    totals: Totals
    layer_rows: list[LayerRow]
    explanations: list[Explanation]
    warnings: list[str]

    def to_json(self, *, by: str, explained: bool) -> dict[str, Any]:
        document: dict[str, Any] = {
            "backbone": self.net.name,
            "input": list(self.net.input),
            "num_classes": self.net.num_classes,
        }
        if by == "stage":
            document["stages"] = shares(self.net)
        else:
            document["layers"] = [row.to_json() for row in self.rows]
        document["totals"] = self.totals.to_json()
        if explained:
            document["explanations"] = [explanation.to_json() for explanation in self.explanations]
            document["warnings"] = self.warnings
        return document


def inspect(configs: Sequence[RunConfig], options: InspectOptions, *, use_dataset: bool) -> int:
    """Print what arithmetic knows of one network, or of several side by side.

    Args:
        configs: A run for each backbone, of which backbone, head and optimizer count.
        options: The verb's own keys.
        use_dataset: Whether channels, size and classes come from the data set.

    Raises:
        UserError: If a layer does not fit into its input, or anything else that ``train`` refuses.
    """
    answers = [_answer(config, options, use_dataset=use_dataset) for config in configs]
    if len(answers) > 1 and options.by == "layer":
        _print_comparison(answers, options)
    elif options.format == "json":
        documents = [answer.to_json(by=options.by, explained=options.explain) for answer in answers]
        print_json(documents[0] if len(documents) == 1 else {"backbones": documents})
    else:
        for answer in answers:
            _print_one(answer, options)
    return 0


def _answer(config: RunConfig, options: InspectOptions, *, use_dataset: bool) -> _Answer:
    check_weights(config.backbone, config.weights)
    head = parse_head(config.head, task=config.task.name)
    info = config.source.info() if use_dataset else None
    if info is None and options.num_classes is None:  # what the default data set would make of it, train refuses
        head.check(num_classes=config.source.info().num_classes)
    in_channels = options.in_channels or (info.in_channels if info else None)
    backbone = head.adapt_backbone(read_backbone(config.plain["backbone"], in_channels=in_channels))
    net = network(
        backbone,
        image_size=pair(options.image_size or (info.image_size if info else backbone.image_size)),
        head=head,
        num_classes=options.num_classes or (info.num_classes if info else None),
    )
    return _Answer(
        config.task.name,
        net,
        totals(net, batch_size=options.batch_size, optimizer=config.recipe.optimizer),
        layer_rows(net, depth=options.depth),
        explain(net) if options.explain else [],
        warnings(net) if options.explain else [],
    )


def _print_one(answer: _Answer, options: InspectOptions) -> None:
    grid = stage_bars(answer.net) if options.by == "stage" else layer_grid(answer.net, answer.rows, answer.totals)
    if options.format == "csv" and options.by == "layer":
        grid = Grid.of_mappings([row.to_json() for row in answer.rows])
    elif options.format == "csv":
        grid = Grid.of_mappings(shares(answer.net))
    print_grid(grid, options.format)
    if options.format == "text":
        console = stdout_console()
        for line in total_lines(answer.totals):
            console.print(line, soft_wrap=True)
        if answer.net.num_classes is None:
            more = "a classifier" if answer.task == "classify" else "what stands on it"
            console.print(f"The backbone alone; num_classes=1000 adds {more}.", style="dim", soft_wrap=True)
        _print_words(answer)
    elif options.format == "markdown":
        print("\n".join(["", *(f"- {line}" for line in total_lines(answer.totals))]))
        _print_words(answer)


def _print_words(answer: _Answer) -> None:
    console = stdout_console()
    for explanation in answer.explanations:
        console.print()
        console.print(explanation.title, style="bold", markup=False)
        for label, text in explanation.lines:
            console.print(f"  {label:<12} {text}", soft_wrap=True, markup=False)
    for warning in answer.warnings:
        console.print()
        console.print(f"[bold]Mind:[/] {escape(warning)}", soft_wrap=True)


def _print_comparison(answers: Sequence[_Answer], options: InspectOptions) -> None:
    pairs = [(answer.net, answer.totals) for answer in answers]
    if options.format == "json":
        documents = []
        for answer in answers:
            document = answer.to_json(by=options.by, explained=options.explain)
            del document["layers"]
            documents.append(document)
        print_json({"backbones": documents, "ratios": ratios(pairs)})
        return
    print_grid(comparison(pairs, exact=options.format == "csv"), options.format)
    if options.format == "csv":
        return
    if all(net.num_classes is None for net, _ in pairs):
        more = "classifiers" if answers[0].task == "classify" else "what stands on them"
        stdout_console().print(f"The backbones alone; num_classes=1000 adds {more}.", style="dim", soft_wrap=True)
    for answer in answers:
        if answer.explanations or answer.warnings:
            stdout_console().print()
            stdout_console().print(answer.net.name, style="bold underline", markup=False)
            _print_words(answer)
