"""What the soak does over and over: each way in which a call begins and ends."""

from __future__ import annotations

import asyncio

from collections.abc import Awaitable, Callable
from contextlib import aclosing, suppress

from dify_workflow_async import Dispatcher, WorkflowClient, errors, files
from dify_workflow_async.events import NodeFinished, TextChunk, WorkflowFinished
from dify_workflow_async.local import (
    App,
    Disconnect,
    ErrorEvent,
    Node,
    Scenario,
    Sleep,
)


Work = Callable[[WorkflowClient], Awaitable[object]]

NODES = [
    Node(type="start"),
    Node(type="llm", text=["some ", "text "] * 20, outputs={"x": "y" * 500}),
    Node(type="end", outputs={"text": "{llm.text}"}),
]


def apps() -> list[App]:
    """Make the apps of the server; their keys say what becomes of a run."""
    steps = {
        "app-good": NODES,
        "app-failing": [Node(type="code", status="failed", error="no")],
        "app-error": [Node(type="start"), ErrorEvent(message="no", code="unknown")],
        "app-slow": [Node(type="start"), Sleep(seconds=30)],
        "app-breaking": [NODES[0], NODES[1], Disconnect(), NODES[2]],
    }
    return [App(Scenario(steps=each), key=key) for key, each in steps.items()]


async def run(client: WorkflowClient) -> None:
    """Await a result."""
    await client.run({"query": "hi"})


async def iterate(client: WorkflowClient) -> None:
    """Read all events."""
    async with client.stream() as stream:
        async for _ in stream:
            pass
        await stream.result()


async def generate(client: WorkflowClient) -> None:
    """Leave the plain generator in the middle."""
    async with aclosing(client.events()) as events:
        async for event in events:
            if isinstance(event, TextChunk):
                break


async def leave(client: WorkflowClient) -> None:
    """Leave a stream, whose run is stopped."""
    async with client.with_options(api_key="app-slow").stream() as stream:
        await anext(stream)


async def detach(client: WorkflowClient) -> None:
    """Leave a stream, whose run goes on."""
    async with client.stream(on_cancel="detach") as stream:
        await anext(stream)


async def cancel(client: WorkflowClient) -> None:
    """Cancel a run that goes on."""
    slow = client.with_options(api_key="app-slow")
    with suppress(TimeoutError):
        async with asyncio.timeout(0.05):
            await slow.run()


async def time_out(client: WorkflowClient) -> None:
    """Let a run take too long."""
    with suppress(errors.TotalTimeout):
        await client.with_options(api_key="app-slow").run(timeout=0.05)


async def dispatch(client: WorkflowClient) -> None:
    """Have handlers of all kinds called."""
    dispatcher = Dispatcher()
    seen: list[object] = []

    @dispatcher.on(TextChunk)
    async def text(event: TextChunk) -> None:
        seen.append(event)

    @dispatcher.on(NodeFinished, concurrent=True)
    async def node(event: NodeFinished) -> None:
        await asyncio.sleep(0)
        seen.append(event)

    waiting = asyncio.ensure_future(dispatcher.wait_for(WorkflowFinished, timeout=10))
    await asyncio.sleep(0)
    await client.run(dispatcher=dispatcher)
    await waiting


async def fail_in_handler(client: WorkflowClient) -> None:
    """Have a handler raise in mid-run."""
    dispatcher = Dispatcher()

    @dispatcher.on(TextChunk)
    async def fail(event: TextChunk) -> None:
        raise ZeroDivisionError(event.text)

    with suppress(ZeroDivisionError):
        await client.run(dispatcher=dispatcher)


async def fail(client: WorkflowClient) -> None:
    """Have runs fail, each in its way."""
    for key, error in (
        ("app-failing", errors.RunFailed),
        ("app-error", errors.APIError),
        ("app-unknown", errors.Unauthorized),
    ):
        with suppress(error):
            await client.with_options(api_key=key).run()


async def recover(client: WorkflowClient) -> None:
    """Have a stream break, and found again."""
    await client.with_options(api_key="app-breaking").run()


async def read(client: WorkflowClient) -> None:
    """Block, then read the run, the app and a run that there is not."""
    result = await client.run_blocking()
    await client.get_run(str(result.workflow_run_id))
    await client.parameters(refresh=True)
    with suppress(errors.NotFound):
        await client.get_run("00000000-0000-4000-8000-000000000000")


async def upload(client: WorkflowClient) -> None:
    """Send a file."""
    await client.upload(files.Upload(b"x" * 10_000, name="a.txt"))


async def another_client(client: WorkflowClient) -> None:
    """Make a client, use it, and close it."""
    async with WorkflowClient("app-good", client.base_url, "u2") as other:
        await other.run()


WORKS: list[Work] = [
    *(run, iterate, generate, leave, detach, cancel, time_out, dispatch),
    *(fail_in_handler, fail, recover, read, upload, another_client),
]
