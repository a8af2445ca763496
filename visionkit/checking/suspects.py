"""Labels that five networks doubt which have not seen them."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy
from numpy.typing import NDArray

from visionkit.checking.data_set import DataSet
from visionkit.data.findings import Finding
from visionkit.data.sources import Splits
from visionkit.errors import UserError

if TYPE_CHECKING:
    from visionkit.console import Printer
    from visionkit.data.dataset import ImageDataset
    from visionkit.runs.config import RunConfig

__all__ = ["Suspect", "check_can_suspect", "find_suspects", "suspect_findings"]

_FOLDS = 5


@dataclass(frozen=True)
class Suspect:
    """A label that may be wrong.

    Attributes:
        name: The image.
        label: Its class.
        suggestion: The class that the networks hold for most likely.
        quality: Of the label, 0 to 1: the margin by which it is more likely than others.
        is_issue: Whether it is held for wrong, by what the networks are sure of for each class.
    """

    name: str
    label: str
    suggestion: str
    quality: float
    is_issue: bool


def check_can_suspect(config: RunConfig) -> None:
    """Check that labels can be doubted.

    Raises:
        UserError: If images have other targets than one class, or cleanlab is not installed.
    """
    if config.task.target != "label":
        raise UserError(
            f"labels: found true with task={config.task.name}. Expected task=classify: the labels of images are "
            "doubted, not boxes or masks. Leave it out"
        )
    try:
        import cleanlab  # noqa: F401
    except ImportError:
        raise UserError(
            "labels=true needs cleanlab, which is not installed. Try: pip install 'visionkit[check]'"
        ) from None


def find_suspects(config: RunConfig, data: DataSet, *, printer: Printer) -> tuple[Suspect, ...]:
    """The labels of train, the most doubtful first.

    Train is divided in five; each part is judged by a network that was trained on the others, with the configuration's
    recipe. What their probabilities say of a label is confident learning (Northcutt et al. 2021, arXiv:1911.00068).

    Args:
        config: Of the networks.
        data: The data set.
        printer: Says how far it is.
    """
    from cleanlab.filter import find_label_issues
    from cleanlab.rank import get_label_quality_scores

    assert data.info is not None
    samples, names = data.splits["train"], data.info.class_names
    labels = samples.labels.numpy()
    probabilities = _out_of_fold(config, data, samples, labels, printer=printer)
    quality = get_label_quality_scores(labels, probabilities, method="normalized_margin")
    issues = set(
        find_label_issues(labels, probabilities, return_indices_ranked_by="normalized_margin", n_jobs=1).tolist()
    )
    best = probabilities.argmax(axis=1)
    return tuple(
        Suspect(
            data.place("train", row), names[labels[row]], names[best[row]], round(float(quality[row]), 4),
            row in issues,
        )
        for row in numpy.argsort(quality, kind="stable").tolist()
    )  # fmt: skip


def suspect_findings(suspects: tuple[Suspect, ...]) -> list[Finding]:
    """A finding on the labels that are held for wrong."""
    places = [f"{each.name} ({each.label}, looks like {each.suggestion})" for each in suspects if each.is_issue]
    return Finding.of("label-suspect", places)


class _OtherSplits:
    """A data set with other splits."""

    def __init__(self, source: Any, splits: Splits) -> None:
        self._source, self._splits = source, splits

    def __getattr__(self, name: str) -> Any:
        return getattr(self._source, name)

    def for_target(self, target: str) -> Any:
        return self

    def splits(self, **_how: Any) -> Splits:
        return self._splits


def _out_of_fold(
    config: RunConfig, data: DataSet, samples: ImageDataset, labels: NDArray[Any], *, printer: Printer
) -> NDArray[Any]:
    """The probabilities of each image by the network that has not seen it, float64 (N, K)."""
    import torch

    from visionkit.training.caller_state import keep_caller_state

    assert data.info is not None
    probabilities = numpy.zeros((len(samples), data.info.num_classes))
    with keep_caller_state():
        for number, (rest, fold) in enumerate(_folds(labels, seed=config.seed)):
            printer.print(f"labels: network {number + 1} of {_FOLDS}, {len(rest):,} images")
            parts = {"train": samples.select(torch.from_numpy(rest)), "val": samples.select(torch.from_numpy(fold))}
            source: Any = _OtherSplits(config.source, Splits(parts))
            probabilities[fold] = _train_and_judge(replace(config, source=source), len(fold))
    return probabilities


def _folds(labels: NDArray[Any], *, seed: int) -> Iterator[tuple[NDArray[Any], NDArray[Any]]]:
    from sklearn.model_selection import StratifiedKFold

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of classes with fewer images than folds
        yield from StratifiedKFold(_FOLDS, shuffle=True, random_state=seed).split(numpy.zeros(len(labels)), labels)


def _train_and_judge(config: RunConfig, count: int) -> NDArray[Any]:
    """The probabilities of the val split by a network that is trained on train, float64 (N, K)."""
    import torch

    from visionkit.distributed.processes import Processes
    from visionkit.training.build import build_task_and_data
    from visionkit.training.trainer import make_trainer, quiet, raising_interrupts

    task, module = build_task_and_data(config)
    with quiet(), raising_interrupts():
        trainer = make_trainer(
            hardware=config.hardware, accelerator=Processes.plan(config.hardware).accelerator, debug=config.debug,
            recipe=config.recipe,
        )  # fmt: skip
        trainer.limit_val_batches = 0
        trainer.fit(task, datamodule=module)
    model = task.model.eval()
    device = next(model.parameters()).device
    found: NDArray[Any] = numpy.zeros((count, module.info.num_classes))
    with torch.inference_mode():
        for batch in module.val_dataloader():
            predictions = model.predict(model(batch["images"].to(device)))
            found[batch["index"].numpy()] = predictions["probabilities"].double().cpu().numpy()
    return found
