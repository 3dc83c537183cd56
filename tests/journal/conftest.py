"""Journals in both kinds of databases, and processes that write them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from dify_workflow_async.batch._values import Row
from dify_workflow_async.batch.journal import Journal


@pytest.fixture(
    params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)]
)
def where(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Name a database with nothing in it, of each kind."""
    if request.param == "sqlite":
        return str(tmp_path / "runs.db")
    return request.getfixturevalue("postgresql").new_database()


Opener = Callable[..., Any]


@pytest.fixture
async def opened(where: str) -> AsyncIterator[Opener]:
    """Give a function that opens the journal once more."""
    async with AsyncExitStack() as stack:

        async def open_(**options: Any) -> Journal:
            journal = Journal.open(where, **options)
            return await stack.enter_async_context(journal)

        yield open_


@pytest.fixture
async def journal(opened: Opener) -> Journal:
    """Open the journal."""
    return await opened()


@pytest.fixture
def rows() -> list[Row]:
    """Give some rows."""
    return [
        Row(index=i, key=f"k{i}", inputs={"query": f"q{i}"}, digest=f"{i:064x}")
        for i in range(5)
    ]
