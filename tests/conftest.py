"""What all tests share: a PostgreSQL server, started when the first test asks for it."""

from __future__ import annotations

import os

from collections.abc import Iterator

import pytest

from ._postgresql import PostgreSQL, missing, programs


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSQL]:
    """Run a server; skip where there is none, but not where there must be one."""
    if reason := missing():
        if os.environ.get("DIFY_WORKFLOW_NEEDS_POSTGRESQL"):
            pytest.fail(reason)
        pytest.skip(reason)
    server = PostgreSQL(programs())
    server.start()
    yield server
    server.stop()
    server.remove()
