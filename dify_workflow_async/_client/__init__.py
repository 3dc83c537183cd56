"""`WorkflowClient`: the verbs."""

from __future__ import annotations

from ._app import AppVerbs
from ._files import FileVerbs
from ._follow import FollowVerbs
from ._runs import RunVerbs


class WorkflowClient(RunVerbs, FollowVerbs, AppVerbs, FileVerbs):
    """Runs the workflow of one Dify app.

    One client serves a whole process: it holds a pool of connections, and thousands of
    runs may share it. It is bound to the event loop and the process of its first use
    and is not thread-safe. Use it in ``async with``, or call `aclose` at the end.

    Args:
        api_key: the app's key; else ``DIFY_API_KEY``. No repr, log or error shows it.
        base_url: the server, with or without ``/v1``; else ``DIFY_BASE_URL``, else
            Dify Cloud.
        user: the end user, at most 255 characters; else ``DIFY_USER``. Every call may
            name its own.
        session: an `aiohttp.ClientSession` to borrow. Its owner closes it and chooses
            its limits: note that aiohttp's default allows 100 connections, and keeps
            unused ones for 15 s, while Dify hangs up after 2 s.
        timeouts: see `Timeouts`.
        limits: see `Limits`.
        retry: see `RetryPolicy`.
        on_cancel: what becomes of a run whose caller is cancelled or leaves early:
            ``"stop"`` stops it on the server, ``"detach"`` lets it go on.
        on_retry: called before a request is sent again; see `hooks.Retry`.
        observers: are told of runs, requests and retries; see `hooks.Observer`, and
            `telemetry.OpenTelemetry`.
        ssl: a context, or False to check no certificate.
        proxy: URL of an HTTP proxy.
        headers: sent with every request.
        max_concurrent_runs: further runs wait until one ends; None: no limit.

    Raises:
        ConfigurationError: no key, a base URL that is none, a wrong setting.

    Warns:
        InsecureConnectionWarning: ``http://`` to another machine shows the key to all
            who are on the way.
    """
