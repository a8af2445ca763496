"""Names of metrics for people: in printed tables, titles and plots. Files keep the keys, such as ``test/map_50``."""

__all__ = ["metric_title", "split_title"]

_WORDS = {
    "ap": "AP", "auc": "AUC", "auroc": "AUROC", "dice": "Dice", "f1": "F1", "iou": "IoU", "map": "mAP", "mar": "mAR",
    "mcc": "MCC",
}  # fmt: skip
_NAMES = {
    "cross_entropy": "cross-entropy",
    "f1_macro": "F1 (macro)",
    "f1_micro": "F1 (micro)",
    "mean_iou": "mIoU",
    "top5_accuracy": "top-5 accuracy",
}


def metric_title(key: str) -> str:
    """The name for people of a metric or loss: ``mAP50`` for ``map_50``, ``val/mIoU`` for ``val/mean_iou``.

    Args:
        key: As in ``metrics.json``, with or without its split.
    """
    split, slash, name = key.rpartition("/")
    if name in _NAMES:
        return f"{split}{slash}{_NAMES[name]}"
    title = ""
    for word in name.split("_"):
        if word.isdecimal() and title.endswith("mAP"):  # at an IoU of so many hundredths
            title += word
        elif word.isdecimal() and title.endswith("mAR"):  # with so many boxes per image
            title += f"@{word}"
        else:
            title += f"{' ' if title else ''}{_WORDS.get(word, word)}"
    return f"{split}{slash}{title}"


def split_title(split: str) -> str:
    """The name of a split for a title."""
    return f"{split} split"
