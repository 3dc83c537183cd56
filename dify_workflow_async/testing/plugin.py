"""The fixtures; pytest loads this module by its entry point, so it imports little."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest


if TYPE_CHECKING:
    from .. import WorkflowClient
    from ..local import App
    from . import DifyServer

__all__ = ["USER", "dify_app", "dify_client", "dify_server", "dify_server_options"]

USER = "test"
"""The end user for whom ``dify_client`` runs."""


@pytest.fixture
def dify_app() -> App:
    """The app that ``dify_server`` serves; override it to serve one of yours.

    This one ends at once, without outputs. Its ``behaviour`` may be replaced.
    """
    from ..local import App, Node, Scenario

    return App(Scenario(steps=[Node(type="start"), Node(type="end")]))


@pytest.fixture
def dify_server_options() -> dict[str, Any]:
    """What `LocalServer` takes, by name; override it to change the server."""
    return {}


@pytest.fixture
def dify_server(
    dify_app: App, dify_server_options: dict[str, Any]
) -> Iterator[DifyServer]:
    """A server of the test's own, on a free port."""
    from . import DifyServer

    options = {"close_delay": 0.0, "engine_processes": 1} | dify_server_options
    server = DifyServer(dify_app, **options)
    server.start()
    yield server
    server.close()


@pytest.fixture
def dify_client(dify_server: DifyServer) -> WorkflowClient:
    """A client for the app, which closes with the event loop of the test."""
    from ._client import make_client

    return make_client(dify_server.api_key, dify_server.base_url, USER)
