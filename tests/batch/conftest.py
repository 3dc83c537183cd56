"""What the tests of batches share."""

from __future__ import annotations

import asyncio
import random

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest


@pytest.fixture(autouse=True)
async def no_task_left() -> AsyncIterator[None]:
    """Fail a test that leaves a task behind."""
    yield
    for _ in range(20):  # what was closed may need some rounds to end
        await asyncio.sleep(0)
    left = asyncio.all_tasks() - {asyncio.current_task()}
    assert not left, f"tasks that nobody owns: {left}"


@pytest.fixture
def until() -> Callable[[Callable[[], object]], Awaitable[None]]:
    """Give the function that waits for a condition."""

    async def wait_until(condition: Callable[[], object]) -> None:
        async with asyncio.timeout(10):
            while not condition():  # noqa: ASYNC110 - of any kind, not an event's
                await asyncio.sleep(0)

    return wait_until


@pytest.fixture
def no_backoff(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the dice fall so that rows are tried again at once."""
    monkeypatch.setattr(random, "random", lambda: 0.0)
