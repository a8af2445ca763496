"""What ``recipe.mix`` does not fit, in words."""

import pytest

from visionkit.errors import UserError
from visionkit.heads import read_head
from visionkit.runs.mixing_checks import check_mixing, check_mixing_batch
from visionkit.settings import Mix
from visionkit.tasks.info import TASKS

MIX = "recipe.mix={mixup: 0.2, cutmix: 1.0, p: 0.5, off_last: 0.1}"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("task=detect", MIX), "joins images by the augmentations mosaic and mixup."),
        (("task=instance", MIX), "joins images by the augmentations mosaic, copy_paste and mixup."),
        (("task=segment", MIX), "joins images by the augmentations mosaic and copy_paste."),
        (("recipe.mix=true",), "recipe.mix: expected null or {mixup: ALPHA, cutmix: ALPHA, p: PROBABILITY, off_last: "),
        (("recipe.mix=true",), f"found true. Try: '{MIX}'"),
        (("recipe.mix={mixup: 0.4}",), "Try: 'recipe.mix={mixup: 0.4, cutmix: 0, p: 0.5, off_last: 0.1}'"),
        (("recipe.mix={mixup: 0, cutmix: 0, p: 1, off_last: 0}",), "recipe.mix: expected mixup or cutmix above 0"),
        (("recipe.mix={mixup: -1, cutmix: 0, p: 1, off_last: 0}",), "recipe.mix.mixup: expected a number from 0 to"),
        (("recipe.mix={mixup: 1, cutmix: 0, p: 2, off_last: 0}",), "recipe.mix.p: expected a number from 0 to 1"),
        ((MIX.replace("off_last", "of_last"),), "unknown key 'of_last'. Did you mean 'off_last'?"),
        ((MIX, "recipe.batch_size=1", "hardware=cpu"), "there is one image in a batch, and none to mix it with."),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_is_written(cli, in_empty_folder, words, expected):
    code, out, err = cli(*words)
    assert code == 2
    assert expected in err
    assert (out, list(in_empty_folder.iterdir())) == ("", [])


def test_one_class_cannot_be_mixed_but_one_label_of_a_set_can():
    mix = Mix(mixup=1.0, cutmix=0.0, p=1.0, off_last=0.0)
    with pytest.raises(UserError, match=r"recipe.mix: there is one class, .* Try: recipe.mix=null"):
        check_mixing(mix, TASKS["classify"], read_head("linear", task="classify"), num_classes=1)
    check_mixing(mix, TASKS["multilabel"], read_head("multilabel", task="multilabel"), num_classes=1)


def test_a_head_of_a_persons_own_is_not_asked_for_shares():
    mix = Mix(mixup=1.0, cutmix=0.0, p=1.0, off_last=0.0)
    with pytest.raises(UserError, match=r"recipe.mix: the head is one of your own"):
        check_mixing(mix, TASKS["classify"], read_head("unet", task="segment"))


@pytest.mark.parametrize(("batch_size", "num_processes"), [(2, 2), (7, 4)])
def test_each_process_needs_two_images(batch_size, num_processes):
    mix = Mix(mixup=1.0, cutmix=0.0, p=1.0, off_last=0.0)
    with pytest.raises(UserError, match=rf"one image in a batch in each of {num_processes} .* recipe.batch_size="):
        check_mixing_batch(mix, batch_size=batch_size, num_processes=num_processes)
    check_mixing_batch(mix, batch_size=2 * num_processes, num_processes=num_processes)
    check_mixing_batch(None, batch_size=1, num_processes=1)


PLUGIN = """
from dataclasses import dataclass
from torch.nn.functional import cross_entropy
from visionkit.losses.spec import LABEL_LOSSES, LossSpec

@LABEL_LOSSES.register("hard", module="hard_loss:hard")
@dataclass(frozen=True, kw_only=True)
class HardSpec(LossSpec):
    pass

def hard(logits, labels):
    return cross_entropy(logits, labels)
"""


def test_a_loss_of_labels_alone_is_named_with_what_it_must_say(cli, in_empty_folder):
    (in_empty_folder / "hard_loss.py").write_text(PLUGIN)
    code, _, err = cli("plugins=[hard_loss]", "head.loss={hard: 1.0}", MIX)
    assert code == 2
    assert "the loss 'hard' takes one class or none. Expected cross_entropy, or a loss with takes_soft_targets" in err
