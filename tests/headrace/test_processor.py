"""Processor time: shared among stages at work, and that of child processes counts."""

import subprocess
import sys

import pytest

from headrace.processor import Meter, Processes

BURN = "import time\nwhile time.process_time() < 1.5: pass"


class Clock:
    """Processor seconds that a test sets."""

    def __init__(self) -> None:
        self.now = 5.0

    def __call__(self) -> float:
        return self.now


def test_what_is_spent_while_two_stages_are_at_work_is_halved():
    clock = Clock()
    meter = Meter(clock)
    with meter.stage() as one:
        clock.now += 2
        with meter.stage() as other:
            clock.now += 4
        clock.now += 1
    assert (one.seconds, other.seconds) == (2 + 2 + 1, 2)


def test_what_is_spent_between_stages_belongs_to_none():
    clock = Clock()
    meter = Meter(clock)
    with meter.stage() as one:
        clock.now += 1
    clock.now += 100
    with meter.stage() as other:
        clock.now += 3
    assert (one.seconds, other.seconds) == (1, 3)


def test_a_stage_that_fails_no_longer_takes_part():
    clock = Clock()
    meter = Meter(clock)
    with pytest.raises(ZeroDivisionError), meter.stage():
        clock.now += 1 / 0
    with meter.stage() as other:
        clock.now += 3
    assert other.seconds == 3


def test_the_work_of_a_child_counts_and_is_kept_when_it_has_ended():
    meter = Meter()
    with meter.stage() as spent:
        subprocess.run([sys.executable, "-c", BURN], check=True)
    assert 0.7 < spent.seconds < 10  # all but what it did after the last look


def test_the_sum_never_falls():
    read = Processes()
    child = subprocess.Popen([sys.executable, "-c", BURN])
    before = read()
    child.kill()
    child.wait()
    assert read() >= before
