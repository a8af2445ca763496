"""Labels that were flipped are among the first that are doubted."""

import sys
from dataclasses import dataclass, replace

import numpy
import pytest
import torch

import visionkit as vk
from visionkit.checking import suspects as module
from visionkit.checking.data_set import read_data_set
from visionkit.checking.suspects import Suspect, find_suspects, suspect_findings
from visionkit.console import Printer
from visionkit.errors import UserError
from visionkit.runs.config import RunConfig


def _config(*words):
    from visionkit.cli.keywords import parse_call
    from visionkit.cli.verb_configs import compose_training

    words = ("task=classify", "dataset=digits", "backbone=lenet", *words)
    return RunConfig.from_plain(compose_training(parse_call("train", words, {}, ()), ()).plain, check_data=False)


@dataclass
class Flipped:
    """Digits of which some labels of train are those of another digit."""

    share: float

    def of(self, config):
        data = read_data_set(config.source, target="label", seed=0)
        random, samples = numpy.random.default_rng(0), data.splits["train"]
        rows = random.choice(len(samples), round(self.share * len(samples)), replace=False)
        labels = samples.labels.clone()
        labels[rows] = (labels[rows] + torch.from_numpy(random.integers(1, 10, len(rows)))) % 10
        samples._all_labels[samples.positions] = labels
        samples.labels = labels
        return data, {samples.name(row) for row in rows.tolist()}


@pytest.mark.slow
def test_of_five_percent_of_flipped_digits_most_are_among_the_first_six_percent():
    pytest.importorskip("cleanlab")
    config = _config("recipe.epochs=8", "hardware=cpu")
    data, wrong = Flipped(0.05).of(config)
    found = find_suspects(config, data, printer=Printer.silent())
    first = {suspect.name for suspect in found[: round(0.06 * len(found))]}
    assert len(first & wrong) >= 0.85 * len(wrong)
    assert len(found) == len(data.splits["train"])
    (finding,) = suspect_findings(found)
    assert 0.5 * len(wrong) <= finding.count <= 2 * len(wrong)


def test_without_cleanlab_it_is_said_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "cleanlab", None)
    with pytest.raises(
        UserError, match=r"needs cleanlab, which is not installed. Try: pip install 'visionkit\[check\]'"
    ):
        vk.check("dataset=digits", labels=True)


def test_labels_of_objects_are_not_doubted():
    with pytest.raises(UserError, match=r"labels: found true with task=detect. Expected task=classify"):
        vk.check("task=detect", "dataset=digits", labels=True)


def test_each_image_is_judged_by_the_network_that_has_not_seen_it(monkeypatch):
    config = _config("hardware=cpu")
    data = read_data_set(config.source, target="label", seed=0)
    seen = []

    def judge(fold_config, count):
        splits = fold_config.source.splits(seed=0)
        train, val = (
            {splits.samples[split].name(i) for i in range(len(splits.samples[split]))} for split in ("train", "val")
        )
        assert not train & val
        assert count == len(val)
        seen.append(val)
        return numpy.full((count, 10), 0.1)

    monkeypatch.setattr(module, "_train_and_judge", judge)
    samples = data.splits["train"]
    labels = samples.labels.numpy()
    found = module._out_of_fold(config, data, samples, labels, printer=Printer.silent())
    assert len(seen) == 5
    assert sum(map(len, seen)) == len(set().union(*seen)) == len(samples)
    assert (found == 0.1).all()


def test_a_finding_names_the_images_that_are_held_for_wrong():
    suspects = (Suspect("a.jpg", "cat", "dog", 0.1, True), Suspect("b.jpg", "dog", "dog", 0.9, False))
    (finding,) = suspect_findings(suspects)
    assert (finding.code, finding.places) == ("label-suspect", ("a.jpg (cat, looks like dog)",))
    assert suspect_findings((replace(suspects[0], is_issue=False),)) == []
