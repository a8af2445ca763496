"""Names of metrics for people."""

import pytest

from visionkit.metric_names import metric_title


@pytest.mark.parametrize(
    ("key", "title"),
    [
        ("val/map", "val/mAP"),
        ("test/map_50", "test/mAP50"),
        ("map_small", "mAP small"),
        ("mar_100", "mAR@100"),
        ("box_map_75", "box mAP75"),
        ("test/mean_iou", "test/mIoU"),
        ("f1_macro", "F1 (macro)"),
        ("top5_accuracy", "top-5 accuracy"),
        ("dice_loss", "Dice loss"),
        ("val/accuracy", "val/accuracy"),
        ("train/loss", "train/loss"),
        ("val/my_metric", "val/my metric"),
    ],
)
def test_a_metric_has_the_name_that_papers_give_it(key, title):
    assert metric_title(key) == title
