"""What processes of a run make sure of before they make anything."""

import pytest

from tests.helpers.process_group import run_in_group
from visionkit.errors import UserError
from visionkit.training.setup import check_same_command

FIRST = {"seed": 0, "recipe": {"lr": 0.1, "optimizer": {"type": "sgd"}}, "hardware": {"node_rank": 0}, "run_dir": None}


def _check(rank, commands):
    try:
        check_same_command(commands[rank])
    except UserError as error:
        return str(error)
    return None


def test_what_belongs_to_a_machine_may_differ(tmp_path):
    other = FIRST | {"hardware": {"node_rank": 1}, "run_dir": "elsewhere"}
    assert run_in_group(2, _check, [FIRST, other], folder=tmp_path) == [None, None]


@pytest.mark.parametrize(
    ("other", "words"),
    [
        ({"recipe": {"lr": 0.2, "optimizer": {"type": "sgd"}}}, "recipe.lr: found 0.2 on this machine and 0.1 on the"),
        ({"recipe": {"lr": 0.1, "optimizer": {"type": "adam"}}}, 'recipe.optimizer.type: found "adam" on this machine'),
        ({"strict": True}, "strict: found true on this machine and nothing (null) on the first one"),
    ],
)
def test_another_command_is_said_where_it_was_given_and_stops_all(tmp_path, other, words):
    first, second, third = run_in_group(3, _check, [FIRST, FIRST, FIRST | other], folder=tmp_path)
    assert words in third
    assert first == second
    assert first.startswith("hardware.num_nodes: another machine was given another command than this one")


def test_alone_there_is_nothing_to_compare():
    assert _check(0, [FIRST]) is None
