"""What the client reads of an app and its server, and what it keeps of that."""

from __future__ import annotations

import asyncio
import gc

from datetime import UTC

import pytest

from dify_workflow_async import RetryPolicy, Timeouts, WorkflowClient, errors
from dify_workflow_async.local import App, Node, Scenario, Variable


OLD, NEW = "1.12.1", "1.14.2"
END = Node(type="end", outputs={"answer": "42"})
FORM = [
    Variable(variable="query", required=True, max_length=5),
    Variable(variable="tone", type="select", options=("dry", "warm")),
    Variable(variable="count", type="number"),
]


@pytest.fixture(params=[OLD, NEW])
def version(request: pytest.FixtureRequest) -> str:
    """Give the version of the server: one of each family."""
    return request.param


async def cancelled(task: asyncio.Task) -> None:
    """Cancel a task, and see the cancellation come out of it."""
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def asked(server, path: str = "/parameters") -> int:
    """How often the local server was asked for this."""
    return len([x for x in server.server.requests if x.path.endswith(path)])


# -- parameters ------------------------------------------------------------------------


async def test_parameters(version, serve, connect):
    """The form of the inputs and the limits, with types."""
    server = await serve(END, inputs=FORM, version=version)
    found = await connect(server).parameters()
    assert [x.variable for x in found.user_input_form] == ["query", "tone", "count"]
    query, tone, _ = found.user_input_form
    assert (query.type, query.required, query.max_length) == ("text-input", True, 5)
    assert tone.options == ("dry", "warm")
    assert found.system_parameters.file_size_limit == 15


async def test_parameters_are_asked_once(serve, connect):
    """However many ask for them, at once or later, and whichever copy."""
    server = await serve(END, inputs=FORM)
    client = connect(server)
    copy = client.with_options(user="u2")
    found = await asyncio.gather(
        *(client.parameters() for _ in range(20)), copy.parameters()
    )
    found.append(await client.parameters())
    assert all(x is found[0] for x in found)
    assert asked(server) == 1


async def test_parameters_anew(serve, connect):
    """`refresh` asks again, and what it found is what all get from then on."""
    server = await serve(END, inputs=FORM)
    client = connect(server)
    first = await client.parameters()
    server.app.behaviour = Scenario(steps=[END], inputs=[])
    assert await client.parameters() is first
    second = await client.parameters(refresh=True)
    assert second.user_input_form == ()
    assert await client.parameters() is second
    assert asked(server) == 2


async def test_each_app_has_its_own_parameters(serve, connect):
    """A copy with another key is another app."""
    server = await serve(END, inputs=FORM)
    other = server.server.add(App(Scenario(steps=[END], inputs=[]), key="app-2"))
    client = connect(server)
    copy = client.with_options(api_key=other.key)
    assert len((await client.parameters()).user_input_form) == 3
    assert (await copy.parameters()).user_input_form == ()
    assert len((await client.parameters()).user_input_form) == 3
    assert asked(server) == 2
    again = copy.with_options(user="u2")
    assert await again.parameters() is await copy.parameters()


async def test_parameters_that_could_not_be_read(wild, connect):
    """Whoever waits gets the error; whoever asks later asks the server again."""

    async def broken(peer) -> None:
        await peer.answer(400, {"code": "app_unavailable", "message": "no"})

    async def whole(peer) -> None:
        await peer.answer(200, {"opening_statement": "hello"})

    server = await wild(broken, whole)
    client = connect(server)
    asking = (client.parameters() for _ in range(3))
    found = await asyncio.gather(*asking, return_exceptions=True)
    assert [type(x) for x in found] == [errors.AppUnavailable] * 3
    assert len(server.requests) == 1
    assert (await client.parameters()).opening_statement == "hello"
    assert len(server.requests) == 2


async def test_a_caller_who_is_cancelled_leaves_the_others_alone(wild, connect, until):
    """The first who asked may go away: the others get what they asked for."""

    async def script(peer) -> None:
        await answering.wait()
        await peer.answer(200, {"opening_statement": "hello"})

    answering = asyncio.Event()
    server = await wild(script)
    client = connect(server)
    first = asyncio.create_task(client.parameters())
    await until(lambda: server.requests)
    others = [asyncio.create_task(client.parameters()) for _ in range(2)]
    await asyncio.sleep(0)
    await cancelled(first)
    await cancelled(others.pop())
    answering.set()
    assert (await others[0]).opening_statement == "hello"
    assert (await client.parameters()).opening_statement == "hello"
    assert len(server.requests) == 1


async def test_everybody_who_asked_is_cancelled(wild, key, until, caplog):
    """A failure that nobody waits for any more is nobody's, and is no noise."""

    async def script(peer) -> None:
        await answering.wait()
        await peer.answer(400, {"code": "app_unavailable", "message": "no"})

    answering = asyncio.Event()
    server = await wild(script)
    client = WorkflowClient(key, server.base_url, "u1")
    task = asyncio.create_task(client.parameters())
    await until(lambda: server.requests)
    await cancelled(task)
    answering.set()
    await client.aclose()
    del client, task
    gc.collect()  # asyncio tells of lost exceptions when it finds them
    assert [x for x in caplog.records if x.levelname in {"WARNING", "ERROR"}] == []


async def test_a_client_that_is_closed_meanwhile(wild, connect, until):
    """Who waits for the parameters gets an error of ours, and is not cancelled."""

    async def script(peer) -> None:
        await peer.gone()

    server = await wild(script)
    client = connect(
        server, retry=RetryPolicy(attempts=1), timeouts=Timeouts(stop=0.05)
    )
    task = asyncio.create_task(client.parameters())
    await until(lambda: server.requests)
    async with asyncio.timeout(5):
        await client.aclose()
        with pytest.raises(errors.DifyError):
            await task
    with pytest.raises(errors.ClientClosed):
        await client.parameters()


# -- validate --------------------------------------------------------------------------


async def test_validate(version, serve, connect):
    """All that is wrong is told at once, and nothing is run."""
    server = await serve(END, inputs=FORM, version=version)
    client = connect(server)
    await client.validate({"query": "x", "tone": "dry", "count": 3})
    with pytest.raises(errors.InvalidInputs) as caught:
        await client.validate({"query": "too long", "tone": "wet", "count": [], "q": 1})
    problems = caught.value.problems
    for name in ("query", "tone", "count", "q"):
        assert any(name in x.partition(":")[0] for x in problems), problems
    with pytest.raises(errors.InvalidInputs, match="query"):
        await client.validate()
    assert (server.starts, asked(server)) == ([], 1)


async def test_validate_before_a_run(version, serve, connect):
    """`validate=True` does so before each run, with the form that is kept."""
    server = await serve(END, inputs=FORM, version=version)
    client = connect(server)
    with pytest.raises(errors.InvalidInputs, match="query"):
        await client.run({}, validate=True)
    with pytest.raises(errors.InvalidInputs, match="query"):
        await client.run_blocking({}, validate=True)
    with pytest.raises(errors.InvalidInputs, match="query"):
        await client.start({}, validate=True)
    assert server.starts == []
    assert (await client.run({"query": "x"}, validate=True)).is_success
    assert asked(server) == 1


# -- info, site, meta, end users -------------------------------------------------------


async def test_info_site_and_meta(version, serve, connect):
    """What the app is, how it looks, and what its tools look like."""
    icons = {"search": "https://x/icon.png", "code": {"background": "#fff"}}
    app = {"name": "Poet", "tags": ["a", "b"], "tool_icons": icons}
    server = await serve(END, app=app, version=version)
    client = connect(server)
    info = await client.info()
    assert (info.name, info.tags, info.mode) == ("Poet", ("a", "b"), "workflow")
    site = await client.site()
    assert (site.title, site.default_language) == ("Poet", "en-US")
    assert (await client.meta()).tool_icons == icons


async def test_an_app_without_a_site(version, serve, connect):
    """It is forbidden to ask, as the server puts it."""
    server = await serve(END, app={"site": None}, version=version)
    with pytest.raises(errors.Forbidden) as caught:
        await connect(server).site()
    assert (caught.value.status, caught.value.code) == (403, "forbidden")


async def test_end_user(serve, connect):
    """The id that the logs tell leads to the `user` of the call."""
    server = await serve(END)
    client = connect(server)
    await client.run(user="ada")
    (entry,) = await client.logs()
    found = await client.end_user(entry.created_by_end_user.id)
    assert (found.id, found.session_id) == (entry.created_by_end_user.id, "ada")
    assert found.created_at.tzinfo is UTC
    with pytest.raises(errors.EndUserNotFound):
        await client.end_user("99999999-9999-4999-8999-999999999999")


async def test_end_user_on_a_server_that_tells_none(serve, connect):
    """It has no such page."""
    server = await serve(END, version=OLD)
    with pytest.raises(errors.NotFound, match="new enough") as caught:
        await connect(server).end_user("99999999-9999-4999-8999-999999999999")
    assert type(caught.value) is errors.NotFound


# -- the server ------------------------------------------------------------------------


@pytest.mark.parametrize("version", [OLD, NEW, "1.16.0"])
async def test_server_info(version, serve, connect):
    """The version comes from its page, or from a header where there is none."""
    server = await serve(END, version=version)
    assert (await connect(server).server_info()).server_version == version


async def test_server_info_of_nobody(wild, connect):
    """Without page and header there is nothing to tell."""

    async def script(peer) -> None:
        await peer.answer(404, b"<html>", "text/html")

    server = await wild(script)
    with pytest.raises(errors.NotFound):
        await connect(server).server_info()


async def test_server_info_of_somebody_else(wild, connect):
    """A page that is no JSON is told as such, and not as a version."""

    async def script(peer) -> None:
        await peer.answer(200, b"<html>", "text/html", X_Version=NEW)

    server = await wild(script)
    with pytest.raises(errors.UnexpectedAnswer):
        await connect(server).server_info()


async def test_wrong_key(version, serve, connect):
    """All reads of an app need its key."""
    server = await serve(END, version=version)
    client = connect(server, api_key="app-other")
    for read in (client.parameters, client.info, client.site, client.meta):
        with pytest.raises(errors.Unauthorized):
            await read()
    with pytest.raises(errors.Unauthorized):
        await client.logs()
    assert (await client.server_info()).server_version == version


async def test_reads_are_repeated(wild, connect):
    """A read that failed for a moment is tried again; it harms nobody."""

    async def broken(peer) -> None:
        await peer.answer(503, b"busy", "text/plain")

    async def whole(peer) -> None:
        await peer.answer(200, {"name": "Poet", "data": [], "tool_icons": {}})

    for verb in ("parameters", "info", "site", "meta", "logs", "server_info"):
        server = await wild(broken, whole)
        await getattr(connect(server), verb)()
        assert len(server.requests) == 2, verb
