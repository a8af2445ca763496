"""Objects of a person on their way to the processes of a run."""

import sys
import types

import pytest

from visionkit.errors import UserError
from visionkit.runs.objects import RunObjects
from visionkit.training.payload import Payload, check_not_imported, pack, unpack


class OwnLoss:
    def __call__(self, logits, targets):
        return logits.sum()


def _payload():
    return Payload(RunObjects.of(loss=OwnLoss()))


@pytest.fixture
def notebook(monkeypatch):
    """A ``__main__`` without a file, in which the class is defined."""
    module = types.ModuleType("__main__")
    module.OwnLoss = OwnLoss
    monkeypatch.setitem(sys.modules, "__main__", module)
    monkeypatch.setattr(OwnLoss, "__module__", "__main__")


def test_objects_of_a_module_arrive():
    sent = pack(_payload(), num_processes=2)
    assert type(unpack(sent).objects.loss) is OwnLoss


def test_without_objects_nothing_is_sent():
    assert pack(Payload(RunObjects()), num_processes=2) is None


def test_what_a_notebook_defines_is_refused_for_several_processes_with_what_to_do(notebook):
    with pytest.raises(UserError, match=r"loss: its class .* in a notebook.*the 2 processes.*hardware\.devices=1"):
        pack(_payload(), num_processes=2)


def test_what_cannot_be_made_again_is_an_error_of_the_person(monkeypatch):
    sent = pack(_payload(), num_processes=2)
    monkeypatch.delattr(sys.modules[__name__], "OwnLoss")
    with pytest.raises(UserError, match=r"objects of this run cannot be made in its processes.*hardware\.devices=1"):
        unpack(sent)


def test_a_script_that_trains_while_it_is_imported_is_told_of_the_guard(monkeypatch):
    from visionkit.training import payload

    monkeypatch.setitem(payload._state, "importing", "train.py")
    with pytest.raises(UserError, match=r"'train\.py' starts a run wherever it is imported.*__main__"):
        check_not_imported()
