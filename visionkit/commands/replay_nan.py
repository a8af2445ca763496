"""``train run=FOLDER debug=nan``: replays the batch of a run whose loss or gradients were not finite."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from visionkit.console import Printer, loading, print_json
from visionkit.errors import ExitCode
from visionkit.runs.config import RunConfig

if TYPE_CHECKING:
    from visionkit.runs.folder import RunFolder
    from visionkit.training.nan_batch import NanBatch
    from visionkit.training.replay import Replay

__all__ = ["replay_nan"]

_MAX_NAMES = 8


def replay_nan(plain: Mapping[str, Any], folder: RunFolder) -> int:
    """Run the batch forward and backward, and print the first layer whose output or gradient is not finite.

    Args:
        plain: The configuration of the run, perhaps with another ``hardware``.
        folder: The run.

    Raises:
        UserError: If the run has no such batch, or it cannot be read.
    """
    config = RunConfig.from_plain(plain, check_data=False)
    config.objects.check_present(plain, predicts=False)
    with loading():
        from visionkit.distributed.devices import choose_accelerator
        from visionkit.runs.checkpoint import read_data_info
        from visionkit.training.build import make_mixing
        from visionkit.training.caller_state import keep_caller_state
        from visionkit.training.nan_batch import read_nan_batch
        from visionkit.training.replay import replay_batch

    kept = read_nan_batch(folder.nan_batch_file)
    model, origin = _load_model(config, folder, kept)
    recipe = config.recipe
    is_frozen = recipe.freeze is not None and (recipe.thaw_epoch is None or kept.epoch <= recipe.thaw_epoch)
    with keep_caller_state():
        found = replay_batch(
            model, kept, accelerator=choose_accelerator(config.hardware), precision=config.hardware.precision,
            mixing=make_mixing(config, read_data_info(folder)), num_frozen=recipe.freeze or 0 if is_frozen else 0,
        )  # fmt: skip
    names = [_name(kept, sample) for sample in found.samples]
    if config.format == "json":
        facts = {key: value for key, value in asdict(found).items() if key != "samples"}
        print_json({"run": str(folder.path), "epoch": kept.epoch, "step": kept.step, **facts, "samples": names})
        return ExitCode.DONE
    Printer().print(
        f"batch    {kept.batch_index + 1} of epoch {kept.epoch} (step {kept.step}, learning rate {kept.rate:.3g}), "
        f"{len(kept.batch['images'])} images; its loss was {kept.loss}",
        f"weights  {origin}",
        f"losses   {', '.join(f'{name} {value:.6g}' for name, value in found.losses.items())}",
        f"found    {_describe(found)}",
        *([f"images   {', '.join(names[:_MAX_NAMES])}{_more(names)}"] if names else []),
    )
    return ExitCode.DONE


def _load_model(config: RunConfig, folder: RunFolder, kept: NanBatch) -> tuple[Any, str]:
    """The model with the weights from before the step, or else those of the last checkpoint, and which they are."""
    from visionkit.backbones import read_backbone
    from visionkit.backbones.weights.finite import first_non_finite
    from visionkit.runs.checkpoint import build_run_model, read_data_info
    from visionkit.runs.checkpoint_file import read_checkpoint
    from visionkit.runs.weight_fit import check_fit

    data = read_data_info(folder)
    backbone = read_backbone({**config.plain["backbone"], "weights": None}, in_channels=data["in_channels"])
    model = build_run_model(config.head.adapt_backbone(backbone), config.head, data)
    weights, origin = kept.weights, "as they were kept with the batch"
    bad = first_non_finite(weights)
    if bad is not None and folder.last_checkpoint.is_file():
        checkpoint = read_checkpoint(folder.last_checkpoint)
        weights = checkpoint.in_training or checkpoint.weights
        origin = f"of {folder.last_checkpoint}, epoch {checkpoint.epoch + 1}: those kept with the batch were not finite"
    elif bad is not None:
        origin += f", where '{bad}' was not finite already: the step before it was too large"
    check_fit(weights, model.state_dict(), file=folder.nan_batch_file)
    model.load_state_dict(weights)
    return model, origin


def _describe(found: Replay) -> str:
    span = "" if found.low is None or found.high is None else f" Its input lies in {found.low:.4g} .. {found.high:.4g}."
    layer = f"'{found.layer}'" + (f" ({found.layer_type})" if found.layer_type else "")
    count = f"{found.num_bad:,} of its numbers are not finite."
    match found.kind:
        case None:
            return (
                "every output and gradient is finite this time: it was a matter of the device or its precision, or of "
                "what the recipe adds to the loss"
            )
        case "images":
            return f"the images themselves: {found.num_bad:,} of their numbers are not finite"
        case "weights":
            return f"the weights '{found.layer}' of which {found.num_bad:,} are not finite before anything is computed"
        case "output":
            return f"the output of the layer {layer}, the first in the way forward. {count}{span}"
        case "loss":
            return f"the loss {layer}: all outputs of layers are finite.{span}"
    return f"the gradient at {layer}, the first in the way back; all outputs and losses are finite. {count}"


def _name(kept: NanBatch, sample: int) -> str:
    return kept.names[sample] if sample < len(kept.names) else f"image {sample} of the batch"


def _more(names: list[str]) -> str:
    return f" and {len(names) - _MAX_NAMES} more" if len(names) > _MAX_NAMES else ""
