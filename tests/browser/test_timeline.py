"""The page with a timeline, in a real browser."""

from __future__ import annotations

import asyncio

from datetime import UTC, datetime

import pytest

from dify_workflow_async.events import NodeFinished, NodeStarted, WorkflowFinished
from dify_workflow_async.timeline import Timeline


pytestmark = pytest.mark.asyncio(loop_scope="module")

BEGAN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
HOSTILE = "</script><img src=x onerror=\"document.title='taken over'\">"


def timeline():
    """A run of two nodes, one with a name that would like to be a page."""
    made = Timeline()
    for key, title in (("1", "Model"), ("2", HOSTILE)):
        node = {"id": key, "node_id": key, "node_type": "llm", "title": title}
        made.add(NodeStarted(created_at=BEGAN, **node))
        made.add(NodeFinished(status="succeeded", elapsed_time=1.5, **node))
    made.add(WorkflowFinished(status="succeeded", elapsed_time=3))
    return made


async def test_the_page_of_a_timeline(open_page, tmp_path):
    """It draws itself, tells of a bar that one points at, and loads and runs nothing."""
    path = await asyncio.to_thread(timeline().save, tmp_path / "run.html")
    page = await open_page("about:blank")
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    await page.goto(path.as_uri())

    bars = page.locator('path[aria-roledescription="rect mark"]')
    await bars.nth(1).wait_for()
    assert await bars.count() == 2
    told = page.locator("#vg-tooltip-element.visible")
    for number, title in enumerate(["Model", HOSTILE]):
        await bars.nth(number).hover()
        await told.get_by_text(title).wait_for()
        words = (await told.inner_text()).split()
        assert {"llm", "succeeded", "1.5"} <= set(words)

    assert asked == [path.as_uri()]
    assert await page.locator("img").count() == 0
    assert await page.title() == "Timeline"
