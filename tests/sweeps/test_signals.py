"""When a signal ends what is under way, and when it waits."""

import os
import signal

import pytest

from visionkit.sweeps.signals import Signals

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_ends_the_work_and_goes_no_further(number):
    done = []
    with Signals() as signals:
        signals.interruptible(lambda: [done.append("begun"), os.kill(os.getpid(), number), done.append("ended")])
    assert (done, signals.count) == (["begun"], 1)


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_between_two_works_is_counted_and_the_next_does_not_begin(number):
    done = []
    with Signals() as signals:
        signals.interruptible(lambda: done.append("first"))
        os.kill(os.getpid(), number)
        done.append("row")
        signals.interruptible(lambda: done.append("second"))
    assert (done, signals.count) == (["first", "row"], 1)


def test_the_handlers_of_before_come_back():
    before = [signal.getsignal(number) for number in SIGNALS]
    with Signals():
        assert signal.getsignal(signal.SIGTERM) != before[1]
    assert [signal.getsignal(number) for number in SIGNALS] == before
