"""``task.metrics``: names, arguments, and what they compute against scikit-learn."""

import re

import pytest
import torch
from sklearn.metrics import average_precision_score, cohen_kappa_score, matthews_corrcoef, roc_auc_score

from visionkit.errors import UserError
from visionkit.metrics.classification import ClassificationMetrics
from visionkit.metrics.spec import build_metrics, parse_metrics


def test_the_shipped_metrics_equal_scikit_learn():
    generator = torch.Generator().manual_seed(0)
    scores = torch.rand(200, 4, generator=generator).softmax(1)
    labels = torch.randint(0, 4, (200,), generator=generator)
    specs = parse_metrics(
        ["auroc", "average_precision", {"type": "cohen_kappa", "weights": "quadratic"}, "matthews_corrcoef"],
        task="classify",
    )
    metrics = ClassificationMetrics(list("abcd"), build_metrics(specs, num_classes=4))
    for part, true in zip(scores.split(64), labels.split(64), strict=True):
        metrics.update(part, true)
    found = {name: value.item() for name, value in metrics.scalars().items()}
    truth, best = labels.numpy(), scores.argmax(1).numpy()
    one_hot = torch.nn.functional.one_hot(labels, 4).numpy()
    assert found["auroc"] == pytest.approx(roc_auc_score(truth, scores.numpy(), multi_class="ovr"), abs=1e-6)
    assert found["average_precision"] == pytest.approx(average_precision_score(one_hot, scores.numpy()), abs=1e-6)
    assert found["cohen_kappa"] == pytest.approx(cohen_kappa_score(truth, best, weights="quadratic"), abs=1e-6)
    assert found["matthews_corrcoef"] == pytest.approx(matthews_corrcoef(truth, best), abs=1e-6)


@pytest.mark.parametrize(
    ("values", "task", "message"),
    [
        ("auroc", "classify", 'task.metrics: expected a list, such as [auroc], found "auroc"'),
        (["aurok"], "classify", "task.metrics.0: no metric is called 'aurok'. Did you mean 'auroc'?"),
        (["auroc"], "detect", "task.metrics: 'auroc' is for classify, not for 'detect'. For 'detect': none yet"),
        (["auroc", {"type": "auroc"}], "classify", "task.metrics: 'auroc' is named twice"),
        ([{"type": "auroc", "average": "best"}], "classify", "task.metrics.0.average: expected 'macro' or 'weighted'"),
    ],
)
def test_a_wrong_choice_is_an_error(values, task, message):
    with pytest.raises(UserError, match=re.escape(message)):
        parse_metrics(values, task=task)
