"""What a run says of its batch and its learning rate before it begins."""

import pytest

from visionkit.config_files import read_group_file
from visionkit.settings import Recipe
from visionkit.training.notes import batch_note, rate_note, steps_note
from visionkit.training.schedules import make_schedule

NUM_IMAGES, STEPS = 256, 4  # of 64 images each


def plain(kind, epochs, **schedule):
    values = read_group_file("recipe", "sgd")
    settings = {**values["schedule"], "type": kind, "warmup_epochs": 0, **schedule}
    return {**values, "epochs": epochs, "lr": 0.1, "schedule": settings}


def note(kind, *, before, now, num_epochs=None):
    previous = {"recipe": plain(kind, before), "debug": read_group_file("debug", "none")}
    recipe = Recipe.from_config(plain(kind, now))
    return rate_note(recipe, previous, num_epochs=num_epochs or before, num_images=NUM_IMAGES)


@pytest.mark.parametrize(
    ("kind", "numbers"),
    [
        # cosine: 0.1 * (1 + cos(pi * 39/40)) / 2 = 0.000154; half way 0.05
        ("cosine", "was 0.000154 at the end of epoch 10 and goes on at 0.05:"),
        # step: twice 0.1 from 3/4 on; at half of 20 epochs the first of them
        ("step", "was 0.001 at the end of epoch 10 and goes on at 0.01:"),
        # one_cycle: 0 at the end; half way of 20 epochs (40 - 23.7) / 55.3 of the way down
        ("one_cycle", "was 0 at the end of epoch 10 and goes on at 0.08"),
    ],
)
def test_a_finished_schedule_that_is_lengthened_jumps_and_the_rates_are_named(kind, numbers):
    said = note(kind, before=10, now=20)
    assert numbers in said
    assert f"the schedule {kind} was made for 10 epochs, and is now one of 20" in said


def test_the_rate_named_is_the_one_that_the_schedule_gives_at_the_next_step():
    factor = make_schedule(Recipe.from_config(plain("one_cycle", 20)))
    assert f"goes on at {0.1 * factor(10 * STEPS, 20 * STEPS):.3g}:" in note("one_cycle", before=10, now=20)


def test_a_constant_rate_does_not_jump():
    assert note("constant", before=10, now=20) is None


@pytest.mark.parametrize("kind", ["cosine", "step", "one_cycle"])
def test_the_same_number_of_epochs_has_no_jump(kind):
    assert note(kind, before=10, now=10, num_epochs=4) is None


def test_a_schedule_that_is_cut_short_before_its_end_jumps_too():
    assert "goes on at" in note("cosine", before=20, now=10, num_epochs=5)


def test_a_batch_larger_than_the_data_is_one_batch_of_all_of_it():
    said = batch_note(64, 25, 2)
    assert "recipe.batch_size=64 is more than the 25 training images: an epoch is one batch of 24, one step" in said
    assert said.endswith("recipe.batch_size=6")
    assert batch_note(64, 64, 1) is None


def test_a_run_of_few_steps_says_how_many_they_are():
    recipe = Recipe.from_config(plain("cosine", 2) | {"batch_size": 64})
    said = steps_note(recipe, 126)
    assert "2 epochs of 1 batch are 2 steps of the optimizer in all" in said
    assert "recipe.epochs=100," in said
    assert steps_note(recipe, 64 * 10) is None
