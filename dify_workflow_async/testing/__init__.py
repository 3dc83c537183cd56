"""A pytest plugin for tests of your own: a Dify for each test, and a client for it.

It comes with the package, and gives three fixtures:

``dify_server``
    a `DifyServer`: a real server on a free port, gone after the test;
``dify_client``
    a `WorkflowClient` for its app; it closes with the event loop of the test;
``dify_app``
    the app that it serves, an `App` of `dify_workflow_async.local`. Override this
    fixture to serve an app of yours: a scenario, an exported app, or recordings.

``dify_server_options`` is to be overridden, too: what `LocalServer` takes, by name.

All of them are plain fixtures, so they work in tests of pytest-asyncio, of anyio, and in
tests that are no coroutines.
"""

from __future__ import annotations

from ._server import DifyServer


__all__ = ["DifyServer"]
