"""A run that is refused since its app is busy slows down the others of that app."""

from __future__ import annotations

import asyncio

import pytest

from dify_workflow_async import RetryPolicy, _exchange, errors
from dify_workflow_async.local import App, Node, Scenario
from dify_workflow_async.local.faults import Busy


RUN = "*/run"
PATIENT = RetryPolicy(base=0.01)
END = Node(type="end")
WAIT = 0.4


def time() -> float:
    return asyncio.get_running_loop().time()


@pytest.fixture
def busy(serve, connect, until):
    """Give a function that has a run refused: server, client, the run, and when it was."""

    async def do(fault: Busy, retry: RetryPolicy = PATIENT):
        served = await serve(END, version="1.14.2", close_delay=0)
        refused = asyncio.Event()
        client = connect(served, retry=retry, on_retry=lambda _: refused.set())
        served.server.fail_next(fault, path=RUN)
        task = asyncio.create_task(client.run({"marker": "first"}))
        await refused.wait()
        return served, client, task, time()

    return do


@pytest.mark.parametrize("status", [429, 400])
@pytest.mark.parametrize("verb", ["run", "run_blocking", "start"])
async def test_others_wait_too(status, verb, busy):
    """Whoever starts a run meanwhile, on any copy of the client, asks later."""
    served, client, first, refused = await busy(Busy(status=status, retry_after=WAIT))
    copy = client.with_options(user="u2")
    await getattr(copy, verb)({"marker": "second"})
    assert time() - refused >= WAIT
    assert (await first).is_success
    assert served.server.starts == {"first": 1, "second": 1}
    assert len(served.starts) == 3  # the first one twice, the second one once


async def test_without_a_word_on_how_long(busy, monkeypatch):
    """The wait of the run that was refused is that of the others."""
    monkeypatch.setattr(_exchange.random, "random", lambda: 1.0)
    retry = RetryPolicy(base=WAIT, cap=WAIT)
    served, client, first, refused = await busy(Busy(status=400), retry=retry)
    await client.run({"marker": "second"})
    assert time() - refused >= 2 * WAIT - 0.05  # its own lot upon it
    assert (await first).is_success
    assert served.server.starts == {"first": 1, "second": 1}


async def test_others_do_not_wait(busy):
    """Other apps are asked meanwhile, and so is this one for anything but runs."""
    served, client, first, _ = await busy(Busy(retry_after=20))
    served.server.add(App(Scenario(steps=[END]), key="app-other"))
    async with asyncio.timeout(5):
        other = client.with_options(api_key="app-other")
        result = await other.run({"marker": "other"})
        await other.get_run(result.ref)
        await client.parameters()
        with pytest.raises(errors.RunNotFound):
            await client.get_run("00000000-0000-4000-8000-000000000000")
    assert not first.done()
    first.cancel()
    assert served.server.starts == {"other": 1}


async def test_no_time_to_wait(busy):
    """Whoever has less time than the wait takes asks at once."""
    served, client, first, refused = await busy(Busy(retry_after=20))
    assert (await client.run({"marker": "second"}, timeout=5)).is_success
    assert time() - refused < 5
    assert not first.done()
    first.cancel()
    assert served.server.starts == {"second": 1}


async def test_too_long_a_wait(serve, connect):
    """Nobody waits for what the policy would not wait for: everybody is told."""
    served = await serve(END, close_delay=0)
    client = connect(served)
    served.server.fail_next(Busy(retry_after=3600), path=RUN, times=2)
    for _ in range(2):
        with pytest.raises(errors.TooManyRequests) as caught:
            await client.run()
        assert caught.value.retry_after == 3600
    assert len(served.starts) == 2
    assert (await client.run()).is_success


async def test_a_refusal_that_is_not_repeated(serve, connect):
    """A run that is tried once slows down the others all the same."""
    served = await serve(END, close_delay=0)
    client = connect(served, retry=RetryPolicy(attempts=1, base=0.01))
    served.server.fail_next(Busy(retry_after=WAIT), path=RUN)
    with pytest.raises(errors.TooManyRequests):
        await client.run()
    refused = time()
    await client.run()
    assert time() - refused > WAIT - 0.1


async def test_the_wait_is_over(serve, connect):
    """Afterwards nobody waits, and what was noted of other apps is forgotten."""
    served = await serve(END, close_delay=0)
    served.server.add(App(Scenario(steps=[END]), key="app-other"))
    client = connect(served, retry=PATIENT)
    for key in (None, "app-other", None):
        served.server.fail_next(Busy(retry_after=0.01), path=RUN)
        assert (await client.with_options(api_key=key).run()).is_success
        await asyncio.sleep(0.05)  # longer than the wait
    busy = client._api.lifetime.busy
    assert len(busy) == 1
    assert (await client.run()).is_success


async def test_cancelled_while_it_waits(busy):
    """A run that was not asked for yet is not asked for any more."""
    served, client, first, _ = await busy(Busy(retry_after=20))
    second = asyncio.create_task(client.run({"marker": "second"}))
    await asyncio.sleep(0)
    for task in (first, second):
        task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await second
    async with asyncio.timeout(3):  # less than Timeouts.stop
        await client.aclose()
    assert len(served.starts) == 1
