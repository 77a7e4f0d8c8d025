"""Claims: one run works on a unit, and a dead or silent one does not stop the others."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from dataclasses import replace

import pytest

from headrace.lake.claims import Disk, claimed

UNITS = ["weather/ingest/b1", "flights/ingest/b2"]


@pytest.fixture
def store(tmp_path):
    return Disk(tmp_path / "claims")


def elsewhere(store, unit, *, expires_at):
    """A claim of a run on another machine, which nobody here can look at."""
    with claimed(store, [unit], owner="far") as other:
        assert other is None
    last = store.read(unit)
    far = replace(last, host="far.example", expires_at=expires_at, number=last.number + 1)
    assert store.put(far, seen=last)
    return far


def test_a_second_run_of_any_of_the_units_is_told_who_has_it(store):
    with claimed(store, UNITS, owner="r1") as first:
        with claimed(store, [UNITS[0], "planes/ingest/b3"], owner="r2") as second:
            assert first is None
            assert (second.owner, second.unit) == ("r1", UNITS[0])
        with claimed(store, ["planes/ingest/b3"], owner="r3") as third:
            assert third is None, "r2 gave back what it had before it met r1"


def test_what_was_given_back_is_claimed_anew_by_a_greater_number(store):
    numbers = []
    for owner in ("r1", "r2", "r1"):
        with claimed(store, UNITS, owner=owner) as other:
            assert other is None
            numbers.append(store.read(UNITS[0]).number)
    assert numbers == [1, 2, 3]


def test_a_run_may_work_on_what_it_claimed_in_another_process(store):
    with claimed(store, UNITS, owner="r1"):
        with claimed(store, UNITS[:1], owner="r1") as other:
            assert other is None
        assert store.read(UNITS[0]).is_held(now=time.time()), "the inner one gave nothing back"


def test_a_claim_of_a_dead_process_is_taken_over_at_once(store):
    code = (
        "import os, signal\n"
        "from pathlib import Path\n"
        "from headrace.lake.claims import Disk, claimed\n"
        f"with claimed(Disk(Path({str(store.folder)!r})), {UNITS!r}, owner='dead'):\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-P", "-c", code], check=False)
    assert store.read(UNITS[0]).owner == "dead"
    with claimed(store, UNITS, owner="r2") as other:
        assert other is None
        assert store.read(UNITS[0]).number == 2


def test_a_claim_on_another_machine_holds_until_it_expires(store):
    far = elsewhere(store, UNITS[0], expires_at=time.time() + 60)
    with claimed(store, UNITS, owner="r2") as other:
        assert other == far
    assert store.put(replace(far, expires_at=time.time() - 1), seen=far)
    with claimed(store, UNITS, owner="r2") as other:
        assert other is None


def test_a_claim_outlives_its_expiry_as_long_as_it_is_renewed(store):
    with claimed(store, UNITS, owner="r1", ttl_s=0.4):
        time.sleep(1.2)
        with claimed(store, UNITS, owner="r2") as other:
            assert other.owner == "r1"


def test_a_run_whose_claim_was_taken_over_neither_renews_it_nor_gives_it_back(store):
    with claimed(store, UNITS[:1], owner="zombie", ttl_s=0.4):
        seen = store.read(UNITS[0])
        taken = replace(seen, owner="r2", number=seen.number + 1, expires_at=time.time() + 60)
        while not store.put(taken, seen=seen):  # between two renewals
            seen = store.read(UNITS[0])
        time.sleep(0.5)
    assert store.read(UNITS[0]) == taken


def test_of_two_that_want_the_same_units_exactly_one_gets_all_of_them(store):
    won, barrier = [], threading.Barrier(2)

    def race(owner, units, number):
        mine = [f"{unit}{number}" for unit in units]
        barrier.wait()
        with claimed(store, mine, owner=owner) as other:
            if other is None:
                won.append(number)
            barrier.wait()  # neither gives back before both have tried

    for number in range(100):
        pair = [
            threading.Thread(target=race, args=(owner, units, number))
            for owner, units in (("a", UNITS), ("b", UNITS[::-1]))
        ]
        for thread in pair:
            thread.start()
        for thread in pair:
            thread.join()
    assert won == list(range(100))


def test_a_claim_file_that_was_cut_short_is_no_claim(store):
    with claimed(store, UNITS, owner="r1"):
        pass
    for path in store.folder.glob("*.json"):
        path.write_bytes(path.read_bytes()[:20])
    with claimed(store, UNITS, owner="r2") as other:
        assert other is None
