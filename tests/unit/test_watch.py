"""The time that a server has."""

from __future__ import annotations

import asyncio

import pytest

from dify_workflow_async._watch import Expired, Watch


@pytest.fixture
async def watch():
    """A watch without a deadline."""
    watch = Watch(None)
    yield watch
    watch.close()


async def wait(watch: Watch, seconds: float | None) -> None:
    """Wait for something that never comes."""
    watch.allow(seconds)
    with watch:
        await asyncio.Event().wait()


async def test_a_wait_that_takes_too_long(watch):
    """It ends in an error of its own, and the task is not cancelled afterwards."""
    with pytest.raises(Expired):
        await wait(watch, 0.01)
    task = asyncio.current_task()
    assert task is not None
    assert not task.cancelling()
    await asyncio.sleep(0)


async def test_one_wait_after_another(watch):
    """Each has its own time: a shorter one need not wait for the timer of a longer."""
    watch.allow(60)
    with watch:
        await asyncio.sleep(0)
    for seconds in (0.02, 0.01):
        with pytest.raises(Expired):
            await wait(watch, seconds)


async def test_the_timer_goes_off_before_the_time_is_over(watch):
    """What was heard since it was armed counts: it is armed again for the rest."""
    watch.allow(0.05)
    with watch:
        await asyncio.sleep(0.03)
    loop = asyncio.get_running_loop()
    began = loop.time()
    with pytest.raises(Expired):
        await wait(watch, 0.05)
    assert loop.time() - began >= 0.05 - 0.001


async def test_a_deadline_ends_every_wait():
    """However much time each of them has."""
    loop = asyncio.get_running_loop()
    watch = Watch(loop.time() + 0.02)
    assert not watch.is_over
    with pytest.raises(Expired):
        await wait(watch, None)
    assert watch.is_over
    watch.close()


async def test_a_deadline_that_passes_while_nobody_waits():
    """No task is cancelled; who asks is told."""
    loop = asyncio.get_running_loop()
    watch = Watch(loop.time() + 0.01)
    watch.allow(60)
    await asyncio.sleep(0.02)
    assert watch.is_over
    assert watch._timer is None
    watch.close()


async def test_cancelling_at_the_same_time(watch):
    """Whoever is cancelled is cancelled, even if the time is over as well."""
    task = asyncio.ensure_future(wait(watch, 60))
    await asyncio.sleep(0)
    watch._since -= 60
    watch._on_timer()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_waiting_without_a_limit(watch):
    """No timer is needed, and none is made."""
    task = asyncio.ensure_future(wait(watch, None))
    await asyncio.sleep(0)
    assert watch._timer is None
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def test_waiting_outside_of_a_task():
    """A callback of the loop may hold the watch, too; nobody can be cancelled then."""
    loop = asyncio.new_event_loop()
    done = []

    def hold() -> None:
        watch = Watch(None)
        with watch:
            done.append(watch)
        watch.close()
        loop.stop()

    loop.call_soon(hold)
    loop.run_forever()
    loop.close()
    assert done
