"""Warm-up, turns and percentiles, by a clock that stands still but for the calls."""

import numpy as np
import pytest

from visionkit.export.timing import MIN_CALLS, percentiles, take_turns, warm_up


class Machine:
    """A clock, and calls that let it go on."""

    def __init__(self):
        self.now = 0.0
        self.order = []

    def clock(self):
        return self.now

    def call(self, name, seconds):
        """A call that takes the next of these seconds, the last one for ever."""
        left = list(seconds)

        def run():
            self.order.append(name)
            self.now += left.pop(0) if len(left) > 1 else left[0]

        return run


def test_warm_up_ends_when_two_windows_agree_within_five_per_cent():
    machine = Machine()
    falling = [3.0] + [0.5] * 5 + [0.3] * 5 + [0.2] * 5 + [0.195]
    done = warm_up(machine.call("a", falling), clock=machine.clock, limit=100)
    assert (done.calls, done.first_seconds, done.stable) == (1 + 4 * 5, 3.0, True)


def test_a_window_of_quick_calls_takes_a_tenth_of_a_second():
    machine = Machine()
    done = warm_up(machine.call("a", [0.0078125]), clock=machine.clock)  # 1 / 128, exact in binary
    assert (done.calls, done.stable) == (1 + 2 * 13, True)


def test_warm_up_that_never_settles_ends_at_its_limit_and_says_so():
    machine = Machine()
    growing = [1.25**number for number in range(100)]
    done = warm_up(machine.call("a", growing), clock=machine.clock, limit=10)
    assert not done.stable
    assert machine.now < 60


def test_the_first_call_does_not_count_for_the_limit():
    machine = Machine()
    assert warm_up(machine.call("a", [50.0, 0.5]), clock=machine.clock, limit=10).stable


def test_calls_take_turns_in_blocks_whose_first_call_is_not_counted():
    machine = Machine()
    calls = {"a": machine.call("a", [9.0, 0.0625]), "b": machine.call("b", [9.0, 0.0625])}
    found = take_turns(calls, seconds=4, clock=machine.clock)
    assert machine.order[:15] == ["a"] * 5 + ["b"] * 10  # blocks of 1 + 4 calls; every second round is backwards
    assert machine.order[15:20] == ["a"] * 5
    assert set(found["a"]) == set(found["b"]) == {0.0625}
    assert len(found["a"]) == len(found["b"]) == 64


def test_quick_calls_are_timed_for_all_seconds_and_at_least_fifty_are():
    machine = Machine()
    calls = {"quick": machine.call("quick", [0.0078125]), "slow": machine.call("slow", [0.25])}
    found = take_turns(calls, seconds=4, clock=machine.clock)
    assert sum(found["quick"]) >= 4
    assert len(found["slow"]) == MIN_CALLS


def test_very_slow_calls_end_after_five_times_the_seconds():
    machine = Machine()
    found = take_turns({"a": machine.call("a", [2.0])}, seconds=3, clock=machine.clock)
    assert len(found["a"]) == 8  # 16 of 15 seconds


def test_even_the_slowest_calls_are_timed_five_times():
    machine = Machine()
    assert len(take_turns({"a": machine.call("a", [60.0])}, seconds=1, clock=machine.clock)["a"]) == 5


def test_no_calls_take_no_turns():
    assert take_turns({}, seconds=1) == {}


def test_percentiles_are_those_of_numpy():
    seconds = np.random.default_rng(0).gamma(2.0, size=73)
    found = percentiles(seconds.tolist())
    expected = [np.quantile(seconds, share) for share in (0.5, 0.9, 0.99)]
    assert [found.p50, found.p90, found.p99] == pytest.approx(expected)
    assert (found.mean, found.calls) == (pytest.approx(seconds.mean()), 73)
