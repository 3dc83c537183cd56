"""What the soak calls growth: a leak, and nothing else."""

from __future__ import annotations

import asyncio
import random
import sys

from pathlib import Path

import pytest

from .judging import TooFewMeasurements, judge


CALLS, ROUNDS = 28, 800
LEAK = 100.0  # bytes a call
SOAK = Path(__file__).with_name("soak.py")


def steady(dice: random.Random) -> list[float]:
    """What comes back to its level: slow swings, and a peak now and then."""
    found, swing = [], 0.0
    for _ in range(ROUNDS):
        swing = 0.95 * swing + dice.gauss(0, 2_000)
        peak = dice.choice([0] * 19 + [80_000])
        found.append(1e6 + swing + dice.gauss(0, 5_000) + peak)
    return found


def wandering(dice: random.Random) -> list[float]:
    """What goes up and down by pages, and stays there."""
    found, level = [], 34e6
    for _ in range(ROUNDS):
        level += dice.choice([0] * 8 + [4096, -4096])
        found.append(level)
    return found


def filling(dice: random.Random) -> list[float]:
    """What fills caches at first."""
    caches = [300_000 * (1 - 0.98**i) for i in range(ROUNDS)]
    return [x + y for x, y in zip(steady(dice), caches, strict=True)]


def standing(_: random.Random) -> list[float]:
    """What does not change at all."""
    return [5e6] * ROUNDS


KINDS = {
    "steady": (steady, {"step": 1}),
    "wandering": (wandering, {"step": 4096, "wanders": True}),
    "filling": (filling, {"step": 1}),
    "standing": (standing, {"step": 4096}),
}


def alarms(kind: str, leak: float) -> int:
    """Tell how many of ten soaks are said to grow."""
    make, options = KINDS[kind]
    found = 0
    for seed in range(10):
        values = make(random.Random(seed))
        leaks = [(CALLS * (i + 1), leak * CALLS * i) for i in range(ROUNDS)]
        points = [(x, y + value) for (x, y), value in zip(leaks, values, strict=True)]
        found += judge(points, **options, seed=seed).grows
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_noise_is_no_growth(kind):
    """At most one soak in ten is taken for what it is not."""
    assert alarms(kind, 0.0) <= 1


@pytest.mark.parametrize("kind", KINDS)
def test_a_leak_is_growth(kind):
    """A hundred bytes of each call are found in every soak."""
    assert alarms(kind, LEAK) == 10


def test_a_single_page_is_no_growth():
    """A measure that cannot show less than a page tells nothing by one."""
    points = [(float(i), 4096.0 * (i > 600)) for i in range(ROUNDS)]
    assert not judge(points, step=4096).grows
    assert judge(points, step=1).grows


def test_what_is_told():
    """The verdict says how much, and how much would have been chance."""
    points = [(float(i), 10.0 * i) for i in range(ROUNDS)]
    found = judge(points, step=1)
    assert (round(found.slope, 6), round(found.noise, 6)) == (10, 0)
    assert str(found).startswith("+10.00 bytes a call, noise 0.00, at most 0.01 (+3.9 ")
    assert str(found).endswith(": it grows")


@pytest.mark.parametrize("rounds", [0, 1, 30])
def test_too_few_measurements(rounds):
    """Of so little nobody can tell anything."""
    with pytest.raises(TooFewMeasurements):
        judge([(float(i), 0.0) for i in range(rounds)], step=1)


@pytest.mark.slow
@pytest.mark.timeout(300)  # it takes twenty seconds where nothing else is at work
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /proc, glibc")
async def test_a_client_that_leaks():
    """The soak itself finds a hundred bytes that each call leaves behind."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", str(SOAK), "--minutes", "4"),
        *("--only", "run", "--calls", "7", "--rounds", "80", "--leak", "100"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    told, _ = await process.communicate()
    assert process.returncode == 1, told
    assert b"allocated: +" in told
    assert b"it grows" in told
