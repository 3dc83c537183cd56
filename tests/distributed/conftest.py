"""A server, and a cluster of two workers, for the tests of batches over workers."""

from __future__ import annotations

import warnings

from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from dify_workflow_async import WorkflowClient
from dify_workflow_async.local import App, LocalServer, Node, Scenario, Sleep


with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # what Dask imports is not ours to mend
    from distributed import Client, LocalCluster

KEY = "app-distributed"


def app(seconds: float = 0.02) -> App:
    """Make an app whose runs take some time."""
    nodes = [
        Node(type="start"),
        Sleep(seconds=seconds),
        Node(type="end", outputs={"done": True}),
    ]
    return App(Scenario(steps=nodes), key=KEY)


@pytest.fixture
async def server(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[LocalServer]:
    """Serve it; the key is in the environment, where workers find it."""
    monkeypatch.setenv("DIFY_API_KEY", KEY)
    async with LocalServer([app()]) as server:
        yield server


@pytest.fixture
def client(server: LocalServer) -> partial[WorkflowClient]:
    """Give what makes a client in each worker."""
    return partial(WorkflowClient, base_url=server.base_url, user="u")


@pytest.fixture
async def cluster() -> AsyncIterator[Any]:
    """Run two workers in processes of their own, and give their cluster."""
    cluster = LocalCluster(
        n_workers=2,
        threads_per_worker=1,
        dashboard_address="127.0.0.1:0",
        asynchronous=True,
    )
    async with cluster:
        yield cluster


@pytest.fixture
async def dask(cluster: Any) -> AsyncIterator[Any]:
    """Give a client of Dask's."""
    async with Client(cluster, asynchronous=True) as dask:
        yield dask


@pytest.fixture(
    params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)]
)
def where(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Name a journal that is not there yet, in each kind of database."""
    if request.param == "sqlite":
        return str(tmp_path / "runs.db")
    return request.getfixturevalue("postgresql").new_database()
