"""Every endpoint of the specification (section 1.2) has a verb that really calls it.

`docs/reference/api-coverage.md` is made of the table here; to write it anew::

    WRITE_API_COVERAGE=1 python -m pytest tests/client/test_api_coverage.py
"""

from __future__ import annotations

import inspect
import os
import re

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import attrs
import pytest

from dify_workflow_async import FollowOptions, RunOptions, WorkflowClient, errors
from dify_workflow_async.files import Upload
from dify_workflow_async.local import App, LocalServer, Pause, Scenario


HOME = Path(__file__).parents[2]
PAGE = HOME / "docs" / "reference" / "api-coverage.md"
RECORDINGS = HOME / "tests" / "recordings"
ID = "3fa85f64-5717-4562-b3fc-2c963f66afa6"

Verb = Callable[[WorkflowClient], Awaitable[object]]


@attrs.frozen(kw_only=True)
class Endpoint:
    """A line of section 1.2, and how the client calls it."""

    route: str
    since: str
    verbs: tuple[str, ...]
    call: Verb

    @property
    def pattern(self) -> re.Pattern[str]:
        """What a request line of this endpoint looks like."""
        method, path = self.route.split(" ")
        parts = re.split(r"\{\w+\}", path)
        inner = r"[^/?\s]+".join(map(re.escape, parts))
        # `/workflows/{id}/run` is not `/workflows/run/{id}`.
        return re.compile(rf"{method} /v1{inner}(\?\S*)?")


async def attached(client: WorkflowClient) -> None:
    """Go back to a run."""
    async with client.attach(ID):
        pass


ENDPOINTS = [
    Endpoint(
        route="POST /workflows/run",
        since="0.6.0",
        verbs=("run", "stream", "events", "start", "run_blocking"),
        call=lambda client: client.run(),
    ),
    Endpoint(
        route="POST /workflows/{workflow_id}/run",
        since="1.7.2",
        verbs=("run", "stream", "events", "start", "run_blocking"),
        call=lambda client: client.run(workflow_id=ID),
    ),
    Endpoint(
        route="GET /workflows/run/{workflow_run_id}",
        since="0.6.15",
        verbs=("get_run", "wait"),
        call=lambda client: client.get_run(ID),
    ),
    Endpoint(
        route="POST /workflows/tasks/{task_id}/stop",
        since="0.6.0",
        verbs=("stop",),
        call=lambda client: client.stop(ID),
    ),
    Endpoint(
        route="GET /workflow/{workflow_run_id}/events",
        since="1.14.0",
        verbs=("attach", "resume"),
        call=attached,
    ),
    Endpoint(
        route="GET /form/human_input/{form_token}",
        since="1.14.0",
        verbs=("get_form",),
        call=lambda client: client.get_form("t"),
    ),
    Endpoint(
        route="POST /form/human_input/{form_token}",
        since="1.14.0",
        verbs=("submit_form", "resume"),
        call=lambda client: client.submit_form("t", action="ok"),
    ),
    Endpoint(
        route="GET /workflows/logs",
        since="0.8.2",
        verbs=("logs",),
        call=lambda client: client.logs().page(1),
    ),
    Endpoint(
        route="POST /files/upload",
        since="0.3.30",
        verbs=("upload",),
        call=lambda client: client.upload(Path(__file__)),
    ),
    Endpoint(
        route="GET /files/{file_id}/preview",
        since="1.7.2",
        verbs=("preview",),
        call=lambda client: client.preview(ID).read(),
    ),
    Endpoint(
        route="GET /parameters",
        since="early",
        verbs=("parameters", "validate"),
        call=lambda client: client.parameters(),
    ),
    Endpoint(
        route="GET /info",
        since="0.6.2",
        verbs=("info",),
        call=lambda client: client.info(),
    ),
    Endpoint(
        route="GET /site",
        since="1.4.0",
        verbs=("site",),
        call=lambda client: client.site(),
    ),
    Endpoint(
        route="GET /meta",
        since="0.5.0",
        verbs=("meta",),
        call=lambda client: client.meta(),
    ),
    Endpoint(
        route="POST /audio-to-text",
        since="0.3.7",
        verbs=("audio_to_text",),
        call=lambda client: client.audio_to_text(Upload(b"ID3", name="a.mp3")),
    ),
    Endpoint(
        route="POST /text-to-audio",
        since="0.5.0",
        verbs=("text_to_audio",),
        call=lambda client: client.text_to_audio("hi").read(),
    ),
    Endpoint(
        route="GET /end-users/{end_user_id}",
        since="1.13.0",
        verbs=("end_user",),
        call=lambda client: client.end_user(ID),
    ),
    Endpoint(
        route="GET /",
        since="early",
        verbs=("server_info",),
        call=lambda client: client.server_info(),
    ),
]


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda endpoint: endpoint.route)
async def test_a_verb_calls_it(endpoint):
    """The request that comes to a server is this endpoint's, and the server has it."""
    app = App(Scenario(steps=[Pause()]))
    async with LocalServer([app]) as server:
        async with WorkflowClient(app.key, server.base_url, "u") as client:
            try:
                await endpoint.call(client)
            except errors.DifyError as error:
                # It refuses our ids, but not as it refuses what it does not know.
                is_page = "not Dify's JSON" in str(error)
                assert not is_page or endpoint.route in NO_PAGE
        lines = [f"{x.method} {x.path}" for x in server.requests]
    assert any(endpoint.pattern.fullmatch(line) for line in lines), lines


# The local server, like the servers that it stands for, has no page for these here: an
# id of no file, and a version that only newer ones tell.
NO_PAGE = ("GET /", "GET /files/{file_id}/preview")


def test_every_verb_is_in_the_table():
    """No public verb is left out, and none is made up."""
    told = {verb for endpoint in ENDPOINTS for verb in endpoint.verbs}
    others = {"aclose", "with_options", "base_url", "download", "batch"}
    public = {name for name in dir(WorkflowClient) if not name.startswith("_")}
    assert told | others == public


def test_the_page_is_the_table():
    """The page says what the client can do, and every line is complete."""
    page = written()
    if os.environ.get("WRITE_API_COVERAGE"):
        PAGE.write_text(page)
    assert PAGE.read_text() == page
    for line in page.splitlines():
        if line.startswith("| `"):
            assert all(cell.strip() for cell in line.strip("|").split("|")), line


def written() -> str:
    """The page."""
    lines = [line_of(endpoint) for endpoint in ENDPOINTS]
    return f"""# API coverage

All that the API key of a workflow app can do, and the verb of `WorkflowClient` that does it.
*Since* is the version of Dify that was the first to have it; *recordings* counts the answers of real servers (1.12.1 and 1.14.2) that the tests read, and the [local server](local.md) has all of these endpoints.
This page is made by `tests/client/test_api_coverage.py`, which also calls each of them over a real socket.

| endpoint | since | verbs | parameters | recordings | local server |
| --- | --- | --- | --- | --- | --- |
{chr(10).join(lines)}

`download()` fetches a file by its signed URL, which needs no API key and is no endpoint of its own.
"""


def line_of(endpoint: Endpoint) -> str:
    """The line of an endpoint."""
    verbs = ", ".join(f"`{verb}()`" for verb in endpoint.verbs)
    names = dict.fromkeys(
        name
        for verb in endpoint.verbs
        for name in parameters_of(getattr(WorkflowClient, verb))
    )
    parameters = ", ".join(f"`{name}`" for name in names) or "none"
    found = sum(
        bool(endpoint.pattern.fullmatch(path.read_text("latin-1").split(" HTTP/")[0]))
        for path in RECORDINGS.glob("*/*.req")
    )
    return (
        f"| `{endpoint.route}` | {endpoint.since} | {verbs} | {parameters} "
        f"| {found or 'none: by its description'} | yes |"
    )


def parameters_of(verb: Callable[..., Any]) -> list[str]:
    """The names of a verb's parameters, its options among them."""
    names: list[str] = []
    for name, parameter in inspect.signature(verb).parameters.items():
        if parameter.kind is parameter.VAR_KEYWORD:
            options = (
                FollowOptions
                if "FollowOptions" in str(parameter.annotation)
                else RunOptions
            )
            names += options.__annotations__
        elif name != "self":
            names.append(name)
    return names
