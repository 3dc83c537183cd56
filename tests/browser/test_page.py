"""The example's page in a real browser: what a person does, and what it shows then."""

from __future__ import annotations

import asyncio
import base64
import os

from pathlib import Path
from typing import Any

import pytest

from dify_workflow_async.local import (
    ErrorEvent,
    Iteration,
    Node,
    Sleep,
    Speech,
    Variable,
)


pytestmark = pytest.mark.asyncio(loop_scope="module")

SCREENSHOTS = Path(__file__).parents[2] / "docs" / "howto"
TOPIC = Variable(variable="topic", label="Topic", required=True, max_length=20)
END = Node(type="end", title="End", outputs={"answer": "{llm.text}"})
WORDS = [f"word{n} " for n in range(60)]
LLM = Node(
    type="llm", title="Model", text=["About {topic}: ", *WORDS], chunk_delay=0.02
)
TEXT = f"About rivers: {''.join(WORDS)}"
FOREVER = Node(type="llm", title="Thinker", text=["First "], delay=0.0)
WAIT = Node(type="code", id="wait", title="Waiter", delay=3600)
EACH = Iteration(
    items=("a", "b"),
    title="For each",
    steps=[Node(type="code", id="line", title="Line", outputs={"x": "{item}"})],
)
SILENCE = b"\xff\xfb\x18\xc4" + bytes(140)


async def fill_in(page, topic: str = "rivers") -> None:
    """Fill in the form with the keyboard, and send it."""
    await page.get_by_label("Topic").fill(topic)
    await page.keyboard.press("Control+Enter")


async def shows(page, state: str, words: str = "") -> None:
    """Wait until the page says how the run is."""
    await page.wait_for_selector(f'#status[data-state="{state}"]')
    await page.wait_for_function(
        "words => document.querySelector('#status').textContent.includes(words)",
        arg=words,
    )


async def text_of(page) -> str:
    """Give the text that is shown."""
    return await page.text_content("#text")


async def nodes_of(page) -> list[tuple[str, str]]:
    """Give the nodes that are shown, with their states."""
    return await page.eval_on_selector_all(
        ".node",
        "all => all.map(x => [x.children[0].textContent, x.dataset.state])",
    )


async def test_the_form(site, open_page):
    """It has a control for each input, of the right kind, and the first has focus."""
    variables = [
        TOPIC,
        Variable(variable="long", type="paragraph", label="Long", default="x"),
        Variable(variable="style", type="select", label="Style", options=["a", "b"]),
        Variable(variable="count", type="number", label="Count"),
        Variable(variable="loud", type="checkbox", label="Loud"),
        Variable(variable="data", type="json_object", label="Data"),
        Variable(variable="file", type="file", label="File"),
    ]
    there = await site(END, inputs=variables)
    page = await open_page(there.url)
    await page.wait_for_selector("[name=topic]")
    assert await page.title() == "Ask anything"
    focused = await page.evaluate("document.activeElement.name")
    assert focused == "topic"
    assert await page.get_attribute("[name=topic]", "maxlength") == "20"
    await page.get_by_label("Style").select_option("b")
    await page.get_by_label("Count").fill("1.5")
    await page.get_by_label("Loud").check()
    await page.get_by_label("Data").fill('{"a": [1]}')
    await fill_in(page)
    await shows(page, "succeeded", "Done")
    assert there.dify.runs[0].inputs == {
        "topic": "rivers",
        "long": "x",
        "style": "b",
        "count": 1.5,
        "loud": True,
        "data": {"a": [1]},
        "file": None,
    }
    assert there.dify.runs[0].user.startswith("visitor-")


KEEP_MIDST = """() => {
  const text = document.querySelector('#text');
  const states = () => [...document.querySelectorAll('.node')].map(
    (x) => [x.children[0].textContent, x.dataset.state]);
  const look = () => {
    if (!text.textContent.includes('word5')) return;
    window.midst ??= [text.textContent, states()];
  };
  new MutationObserver(look).observe(text, { childList: true });
}"""


async def test_a_run(site, open_page):
    """Text streams in, nodes show how they are, and the end is told."""
    there = await site(LLM, EACH, END, inputs=[TOPIC])
    page = await open_page(there.url)
    await page.evaluate(KEEP_MIDST)
    await fill_in(page)
    await shows(page, "succeeded", "Done in")
    text, states = await page.evaluate("window.midst")
    assert "word59" not in text
    assert states == [["Model", "running"]]
    assert await text_of(page) == TEXT
    assert await nodes_of(page) == [
        ["Model", "succeeded"],
        ["For each", "succeeded"],
        ["Line", "succeeded"],
        ["Line", "succeeded"],
        ["End", "succeeded"],
    ]
    assert await page.locator("#nodes ol .node").count() == 2
    times = await page.locator(".node time").all_text_contents()
    assert all(time.endswith(" s") for time in times)
    assert not await page.is_visible("#outputs")  # the text is the output
    assert await page.is_enabled("#run")
    assert await page.is_disabled("#stop")
    content = await page.content()
    for inside in (there.dify.runs[0].id, there.dify.runs[0].task_id, "app-s3cr3t"):
        assert inside not in content


@pytest.mark.parametrize("how", ["button", "keyboard"])
async def test_stopping(how, site, open_page):
    """The run is stopped on the server, and the page says so."""
    there = await site(FOREVER, WAIT, inputs=[TOPIC])
    page = await open_page(there.url)
    await fill_in(page)
    await page.wait_for_selector('.node[data-state="running"]:has-text("Waiter")')
    if how == "button":
        await page.get_by_role("button", name="Stop").click()
    else:
        await page.keyboard.press("Escape")
    await shows(page, "failed", "Stopped")
    assert there.dify.runs[0].status == "stopped"
    assert (await nodes_of(page))[1] == ["Waiter", "stopped"]


async def in_midst_of_text(site, open_page) -> tuple[Any, Any]:
    """Give a site and its page, in which some words have come, and more will."""
    there = await site(LLM, END, inputs=[TOPIC])
    page = await open_page(there.url)
    await fill_in(page)
    await page.wait_for_function(
        "document.querySelector('#text').textContent.includes('word5')"
    )
    return there, page


async def test_a_connection_that_drops(site, open_page):
    """The page says so, comes back by itself, and has all of the text, once."""
    there, page = await in_midst_of_text(site, open_page)
    there.line.cut()
    await shows(page, "running", "Reconnecting")
    there.line.mend()
    await shows(page, "succeeded", "Done")
    assert await text_of(page) == TEXT
    assert len(there.dify.runs) == 1


async def test_a_proxy_without_its_backend(site, open_page):
    """The page says so, tries again, and then has all of the text, once."""
    there, page = await in_midst_of_text(site, open_page)

    async def bad_gateway(route) -> None:
        await route.fulfill(status=502, body="<h1>Bad Gateway</h1>")

    await page.route("**/events", bad_gateway)
    there.line.cut()
    there.line.mend()
    await shows(page, "running", "Trying again")
    assert "word5" in await text_of(page)
    assert not await page.is_visible("#error")
    await page.unroute("**/events")
    await shows(page, "succeeded", "Done")
    assert await text_of(page) == TEXT
    assert len(there.dify.runs) == 1


@pytest.mark.parametrize(
    ("status", "words"), [(403, "may not watch"), (418, "went wrong")]
)
async def test_a_run_that_may_not_be_watched(status, words, site, open_page):
    """What the answer means is said, whoever gave it, and the page asks no more."""
    there = await site(END)
    page = await open_page(there.url)

    async def refuse(route) -> None:
        await route.fulfill(status=status, body="<h1>No</h1>")

    await page.route("**/events", refuse)
    await page.goto(f"{there.url}#x")
    await page.reload()
    await shows(page, "failed")
    assert words in await page.text_content("#error")


async def test_a_page_that_is_loaded_again(site, open_page):
    """The address names the run: all of it is shown again."""
    there = await site(LLM, END, inputs=[TOPIC])
    page = await open_page(there.url)
    await fill_in(page)
    await page.wait_for_function("location.hash.length > 1")
    await page.reload()
    await shows(page, "succeeded", "Done")
    assert await text_of(page) == TEXT
    assert len(there.dify.runs) == 1


async def test_two_viewers(site, open_page):
    """Whoever has the address sees the same run, from its beginning."""
    there = await site(LLM, END, inputs=[TOPIC])
    first = await open_page(there.url)
    await fill_in(first)
    await first.wait_for_function("location.hash.length > 1")
    second = await open_page(first.url)
    for page in (first, second):
        await shows(page, "succeeded", "Done")
        assert await text_of(page) == TEXT
    assert len(there.dify.runs) == 1


async def test_inputs_that_are_wrong(site, open_page):
    """What is wrong is said, and nothing is started."""
    there = await site(
        END, inputs=[TOPIC, Variable(variable="data", type="json_object", label="Data")]
    )
    page = await open_page(there.url)
    await page.get_by_label("Data").fill("{")
    await fill_in(page)
    await page.wait_for_selector("#error:visible")
    assert "no JSON" in await page.text_content("#error")
    await page.get_by_label("Data").fill("[1]")
    await page.keyboard.press("Control+Enter")
    await page.wait_for_function(
        "document.querySelector('#error').textContent.includes('correct')"
    )
    assert "data" in await page.text_content("#error")
    assert not there.dify.runs


async def test_an_error_in_mid_run(site, open_page):
    """It is a sentence, beside the text that came before; nothing of the inside."""
    error = ErrorEvent(message="inside", code="provider_quota_exceeded")
    there = await site(Node(type="llm", title="Model", text="so far"), error)
    page = await open_page(there.url)
    await page.keyboard.press("Control+Enter")
    await shows(page, "failed", "Failed")
    assert "Please try again later." in await page.text_content("#error")
    assert await text_of(page) == "so far"
    assert "inside" not in await page.content()


async def test_a_node_that_fails(site, open_page):
    """The node is marked, and what it said of itself stays inside."""
    there = await site(Node(type="code", title="Bad", status="failed", error="inside"))
    page = await open_page(there.url)
    await page.keyboard.press("Control+Enter")
    await shows(page, "failed", "Failed")
    assert await page.text_content("#error") == "The workflow failed."
    assert await nodes_of(page) == [["Bad", "failed"]]
    assert "inside" not in await page.content()


async def test_a_run_that_is_gone(site, open_page):
    """An old address says that there is no such run."""
    there = await site(END)
    page = await open_page(f"{there.url}#gone")
    await shows(page, "failed")
    assert "no such run" in await page.text_content("#error")


@pytest.mark.parametrize("version", ["1.12.1", "1.14.2"])
async def test_speech(version, site, open_page):
    """It can be played when it is complete, also where it comes after the end."""
    speech = Speech(audio=[SILENCE], tail=[SILENCE] * 2)
    there = await site(speech, Node(type="end"), version=version)
    page = await open_page(there.url)
    await page.keyboard.press("Control+Enter")
    await page.wait_for_selector("#audio:visible")
    played = await page.evaluate(
        "fetch(document.querySelector('#audio').src).then(x => x.arrayBuffer())"
        ".then(x => btoa(String.fromCharCode(...new Uint8Array(x))))"
    )
    pieces = 3 if version == "1.12.1" else 1
    assert base64.b64decode(played) == SILENCE * pieces


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_how_it_looks(scheme, site, open_page, contrast):
    """It is readable in light and dark; DIFY_SCREENSHOTS=1 keeps pictures of it."""
    story = [
        "Rivers carry water, ",
        "and everything that it takes along, ",
        "from the mountains to the sea.\n\n",
        "On their way they turn mills, ",
        "feed fields, and now and then a town.",
    ]
    there = await site(
        Node(type="start", title="Start"),
        Node(type="llm", title="Write", text=story, delay=0.2, chunk_delay=0.05),
        Iteration(
            items=("a", "b"),
            title="Check each source",
            steps=[Node(type="code", id="line", title="Compare", delay=0.15)],
        ),
        Node(type="llm", id="more", title="Summarize", text=["\n\nIn short: "]),
        Node(type="tool", id="speak", title="Read aloud", delay=3600),
        inputs=[
            TOPIC,
            Variable(
                variable="sources",
                type="file-list",
                label="Sources",
                allowed_file_types=["document"],
                allowed_file_upload_methods=["local_file"],
                max_length=5,
            ),
        ],
    )
    page = await open_page(
        there.url, color_scheme=scheme, viewport={"width": 1100, "height": 850}
    )
    await page.locator("#field-sources").set_input_files(
        [
            {"name": "danube.pdf", "mimeType": "", "buffer": b"x" * 2_400_000},
            {"name": "rhine.pdf", "mimeType": "", "buffer": b"x" * 760_000},
        ]
    )
    await fill_in(page)
    await page.wait_for_selector('.node[data-state="running"]:has-text("Read aloud")')
    assert await contrast(page, "#status", ".result") >= 4.5
    assert await contrast(page, ".result", ".result") >= 7
    if os.environ.get("DIFY_SCREENSHOTS"):
        path = SCREENSHOTS / f"web-backend-{scheme}.png"
        await page.screenshot(path=path)
    await page.set_viewport_size({"width": 360, "height": 640})
    width = await page.evaluate("document.documentElement.scrollWidth")
    assert width <= 360  # nothing sticks out on a phone
    await page.keyboard.press("Escape")
    await shows(page, "failed", "Stopped")


async def test_nobody_watches(site, open_page):
    """Closing the page leaves the run for a while, so that one can come back."""
    there = await site(Sleep(seconds=0.2), LLM, END, inputs=[TOPIC])
    page = await open_page(there.url)
    await fill_in(page)
    await page.wait_for_function("location.hash.length > 1")
    url = page.url
    await page.close()
    await asyncio.sleep(0.3)
    again = await open_page(url)
    await shows(again, "succeeded", "Done")
    assert await text_of(again) == TEXT
