"""A signal is raised where the command works, and never lost."""

import signal
import sys
import time

import pytest

from visionkit.cli import main as main_module
from visionkit.cli.signals import begin_work, handle_signals
from visionkit.errors import Terminated, UserError


class _Dying:
    """Gets a signal while it is destroyed, where Python reports exceptions and goes on."""

    def __init__(self, number):
        self.number = number

    def __del__(self):
        signal.raise_signal(self.number)


@pytest.mark.parametrize(("number", "error"), [(signal.SIGTERM, Terminated), (signal.SIGINT, KeyboardInterrupt)])
def test_a_signal_that_comes_while_an_object_is_destroyed_is_raised_after_it(number, error, capfd):
    def work():
        with handle_signals():
            begin_work()
            dying = _Dying(number)
            del dying
            time.sleep(5)
            pytest.fail("the signal was lost")

    hook = sys.unraisablehook
    with pytest.raises(error):
        work()
    assert sys.unraisablehook is hook
    assert "ignored" not in capfd.readouterr().err


def test_other_exceptions_of_destructors_are_reported_as_ever(monkeypatch):
    class Failing:
        def __del__(self):
            raise ValueError("of the destructor")

    seen = []
    monkeypatch.setattr(sys, "unraisablehook", seen.append)
    with handle_signals():
        failing = Failing()
        del failing
    assert [str(each.exc_value) for each in seen] == ["of the destructor"]


@pytest.mark.parametrize(
    ("number", "code", "word"), [(signal.SIGTERM, 143, "terminated"), (signal.SIGINT, 130, "interrupted")]
)
def test_a_signal_that_a_library_makes_an_error_of_is_a_signal_all_the_same(monkeypatch, capsys, number, code, word):
    """As Hydra does where it composes: its error has no words."""

    def compose(*_args, **_more):
        try:
            signal.raise_signal(number)
            time.sleep(5)
        except KeyboardInterrupt:
            raise UserError("the configuration does not hold together: ") from None

    monkeypatch.setattr(main_module, "parse_overrides", compose)
    assert main_module.main(["debug=fast"]) == code
    assert capsys.readouterr().err == f"visionkit: {word}\n"
    monkeypatch.setattr(
        main_module, "parse_overrides", lambda *_args, **_more: (_ for _ in ()).throw(UserError("mine"))
    )
    assert main_module.main(["debug=fast"]) == 2
    assert capsys.readouterr().err == "visionkit: mine\n"
