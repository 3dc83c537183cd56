"""Files from a visitor's machine into a run: by the page, and past it."""

from __future__ import annotations

import asyncio
import gzip
import io
import sys

from collections.abc import AsyncIterator
from typing import Any, Self

import aiohttp
import pytest

from dify_workflow_async.local import Node, Variable


pytestmark = pytest.mark.asyncio(loop_scope="module")

MB = 1024 * 1024
END = Node(type="end", title="End")
REPORT = Variable(
    variable="report",
    type="file",
    label="Report",
    required=True,
    allowed_file_types=["document"],
)
PICTURES = Variable(
    variable="pictures",
    type="file-list",
    label="Pictures",
    max_length=3,
    allowed_file_types=["image"],
    allowed_file_extensions=[".zip"],
)
SMALL = {"app": {"limits": {"file_size_limit": 1, "image_file_size_limit": 2}}}
PDF = {"name": "q3.pdf", "mimeType": "application/pdf", "buffer": b"%PDF-1.7 three"}


def picture(name: str, size: int = 10) -> dict[str, Any]:
    """Make a file for the browser to choose."""
    return {"name": name, "mimeType": "image/png", "buffer": b"p" * size}


async def says(page, words: str) -> None:
    """Wait until the page says so."""
    await page.wait_for_selector(f'#status:has-text("{words}")')


async def run(page) -> None:
    """Send the form with the keyboard."""
    await page.keyboard.press("Control+Enter")


def names(there) -> list[str]:
    """Give the names of the files that Dify has."""
    return [file.name for file in there.dify.files]


async def problem(page) -> str:
    """Give what is wrong with the files, if the page says so."""
    return "".join(await page.locator(".problem").all_text_contents())


# -- by the page -----------------------------------------------------------------------


async def test_one_file(site, open_page):
    """It gets to Dify as it is, for the visitor alone, and into the run."""
    there = await site(END, inputs=[REPORT])
    page = await open_page(there.url)
    await page.get_by_label("Report *").set_input_files(PDF)
    await run(page)
    await says(page, "Done")
    (file,) = there.dify.files
    assert (file.name, file.mime_type) == ("q3.pdf", "application/pdf")
    assert file.path.read_bytes() == PDF["buffer"]
    (started,) = there.dify.runs
    assert started.inputs["report"]["related_id"] == file.id
    assert started.user.startswith("visitor-")
    content = await page.content()
    assert file.id not in content
    assert not await page.is_visible("#progress")


async def test_several_files(site, open_page):
    """Those that are chosen later are added; one that was sent is not sent again."""
    there = await site(END, inputs=[PICTURES])
    page = await open_page(there.url)
    chooser = page.get_by_label("Pictures", exact=True).locator("input")
    await chooser.set_input_files([picture("a.png"), picture("b.png")])
    await chooser.set_input_files([picture("c.png", 2 * MB)])
    assert await page.locator(".chosen span").all_text_contents() == [
        *("a.png", "b.png", "c.png")
    ]
    sizes = await page.locator(".chosen small").all_text_contents()
    assert sizes == ["10 bytes", "10 bytes", "2 MB"]
    await page.get_by_role("button", name="Remove b.png").press("Enter")
    focused = await page.evaluate("document.activeElement.id")
    assert focused == "field-pictures"
    for count in (1, 2):
        await run(page)
        await page.wait_for_function("() => !document.querySelector('#run').disabled")
        assert len(there.dify.runs) == count
        assert names(there) == ["a.png", "c.png"]
    ids = [file.id for file in there.dify.files]
    for started in there.dify.runs:
        assert [x["related_id"] for x in started.inputs["pictures"]] == ids


@pytest.mark.parametrize(
    ("chosen", "words"),
    [
        ([picture("a.png", 2 * MB + 1)], "“a.png” has 2.1 MB; at most 2 MB are taken."),
        ([PDF], "“q3.pdf” is of a kind that is not taken here."),
        ([picture(f"{n}.png") for n in range(4)], "These are 4; at most 3 are taken."),
    ],
    ids=["too large", "wrong kind", "too many"],
)
async def test_files_that_are_refused(chosen, words, site, open_page):
    """The page says so before anything is sent; without them, it runs."""
    there = await site(END, inputs=[PICTURES], **SMALL)
    page = await open_page(there.url)
    hint = await page.text_content("#field-pictures-hint")
    assert hint == "Images up to 2 MB; .zip up to 1 MB; at most 3."
    chooser = page.locator("#field-pictures")
    accept = await chooser.get_attribute("accept")
    assert accept.split(",")[0] == "image/*"
    assert {".png", ".zip"} <= set(accept.split(","))
    await chooser.set_input_files(chosen)
    assert await problem(page) == words
    sent = there.upstream.sent
    await run(page)
    assert (
        await page.evaluate("document.querySelector('#form').checkValidity()") is False
    )
    assert await page.is_enabled("#run")
    await page.locator(".remove").first.press("Enter")
    assert await problem(page) == ""
    assert there.upstream.sent == sent
    await run(page)
    await says(page, "Done")


async def test_a_file_that_is_missing(site, open_page):
    """The browser says what to do, and nothing is started."""
    there = await site(END, inputs=[REPORT])
    page = await open_page(there.url)
    await page.wait_for_selector("#field-report")
    await run(page)
    message = await page.evaluate(
        "document.querySelector('#field-report').validationMessage"
    )
    assert message == "Please choose a file or give a link."
    assert not there.dify.runs


async def test_links(site, open_page):
    """Dify gets them as they are: one for a file, some for a list beside files."""
    there = await site(END, inputs=[REPORT, PICTURES])
    page = await open_page(there.url)
    await page.locator("#field-report-link").fill("ftp://example.org/q3.pdf")
    assert "is no link" in await problem(page)
    await page.locator("#field-report-link").fill("https://example.org/q3.pdf")
    await page.locator("#field-pictures").set_input_files(picture("a.png"))
    lines = "https://example.org/b.png\n\nhttps://example.org/c.png\n"
    await page.locator("#field-pictures-link").fill(lines)
    assert await problem(page) == ""
    await run(page)
    await says(page, "Done")
    inputs = there.dify.runs[0].inputs
    assert inputs["report"]["remote_url"] == "https://example.org/q3.pdf"
    methods = [each["transfer_method"] for each in inputs["pictures"]]
    assert methods == ["local_file", "remote_url", "remote_url"]
    assert names(there) == ["a.png"]


@pytest.mark.parametrize("method", ["local_file", "remote_url"])
async def test_one_way_only(method, site, open_page):
    """There is a control for what the app allows, and none for what it does not."""
    only = Variable(
        variable="report",
        type="file",
        label="Report",
        allowed_file_upload_methods=[method],
    )
    there = await site(END, inputs=[only])
    page = await open_page(there.url)
    await page.wait_for_selector(".files")
    assert await page.locator("input[type=file]").count() == (method == "local_file")
    links = await page.locator("#field-report-link").count()
    assert links == (method == "remote_url")
    await run(page)
    await says(page, "Done")
    assert there.dify.runs[0].inputs["report"] is None


async def test_a_file_on_its_way(site, open_page):
    """The page shows how far it is; stopped, nothing is started, and it can go again."""
    there = await site(END, inputs=[PICTURES])
    page = await open_page(there.url)
    files = [picture("a.png"), picture("b.png", 2 * MB)]
    await page.locator("#field-pictures").set_input_files(files)
    there.line.hold()
    await run(page)
    await says(page, "Sending a.png (1 of 2)")
    assert await page.is_visible("#progress")
    assert await page.is_disabled("#run")
    there.upstream.hold(after=MB // 4)
    there.line.flow()
    await says(page, "Sending b.png (2 of 2)")
    await page.keyboard.press("Escape")
    await says(page, "Not started.")
    there.upstream.flow()
    assert not await page.is_visible("#progress")
    assert not await page.is_visible("#error")
    assert not there.dify.runs
    await run(page)
    await says(page, "Done")
    taken = [x["filename"] for x in there.dify.runs[0].inputs["pictures"]]
    assert taken == ["a.png", "b.png"]


async def test_a_file_that_dify_refuses(site, open_page):
    """What Dify says of it is told in a sentence of ours."""
    taken = Variable(
        variable="report", type="file", label="Report", allowed_file_extensions=[".exe"]
    )
    there = await site(END, inputs=[taken], app={"blocked_extensions": ["exe"]})
    page = await open_page(there.url)
    await page.locator("#field-report").set_input_files(PDF | {"name": "q3.exe"})
    await run(page)
    await says(page, "Not started.")
    error = await page.text_content("#error")
    assert error == "The inputs do not fit the form."
    assert not there.dify.runs


async def test_a_connection_that_drops_while_a_file_is_sent(site, open_page):
    """The page says so, and sends it when it is asked again."""
    there = await site(END, inputs=[REPORT])
    page = await open_page(there.url)
    await page.locator("#field-report").set_input_files(PDF)
    there.line.cut()
    await run(page)
    await says(page, "Not started.")
    assert "“q3.pdf” could not be sent" in await page.text_content("#error")
    there.line.mend()
    await run(page)
    await says(page, "Done")


async def test_uploads_that_the_backend_has_forgotten(site, open_page, monkeypatch):
    """The page sends them again by itself."""
    there = await site(END, inputs=[REPORT])
    page = await open_page(there.url)
    await page.locator("#field-report").set_input_files(PDF)
    await run(page)
    await says(page, "Done")
    with monkeypatch.context() as patched:
        patched.setattr(sys.modules["files"], "MOST", 0)
        async with Visitor(there.url) as other:
            await other.send("report", "x.pdf", b"x")
    await run(page)
    await page.wait_for_function("() => !document.querySelector('#run').disabled")
    assert names(there) == ["q3.pdf", "x.pdf", "q3.pdf"]
    assert len(there.dify.runs) == 2


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_how_files_look(scheme, site, open_page, contrast):
    """Problems can be read in light and dark, and nothing sticks out on a phone."""
    there = await site(END, inputs=[REPORT, PICTURES])
    viewport = {"width": 360, "height": 640}
    page = await open_page(there.url, color_scheme=scheme, viewport=viewport)
    wrong = picture(f"{'long' * 20}.exe") | {"mimeType": ""}
    await page.locator("#field-pictures").set_input_files([picture("a.png"), wrong])
    assert "not taken" in await problem(page)
    width = await page.evaluate("document.documentElement.scrollWidth")
    assert width <= 360
    for ink in (".problem:not(:empty)", ".chosen small", ".chosen .remove", ".or"):
        assert await contrast(page, ink, "#form") >= 4.5
    tabs = []
    await page.locator("#field-report").focus()
    for _ in range(5):
        await page.keyboard.press("Tab")
        tabs.append(await page.evaluate("document.activeElement.id || 'button'"))
    assert tabs[:2] == ["field-report-link", "field-pictures"]
    assert tabs[2:] == ["button", "button", "field-pictures-link"]


# -- past the page ---------------------------------------------------------------------


class Visitor:
    """Somebody with a cookie, who sends what no page would."""

    def __init__(self, url: str) -> None:
        self._url = url
        # The cookies of a host that is a number count only so.
        self._jar = aiohttp.CookieJar(unsafe=True)

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(cookie_jar=self._jar)
        async with self._session.get(self._url) as answer:
            assert answer.ok
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def send(
        self, field: str, name: str, data: Any, **headers: str
    ) -> tuple[int, Any]:
        """Send a file; give the status and what is told."""
        url, query = f"{self._url}api/uploads", {"field": field, "name": name}
        if isinstance(data, bytes):
            data = io.BytesIO(data)  # aiohttp warns of large bytes
        post = self._session.post(url, params=query, data=data, headers=headers)
        async with post as answer:
            return answer.status, await answer.json()

    async def start(self, inputs: Any) -> tuple[int, Any]:
        """Start a run; give the status and what is told."""
        async with self._session.post(f"{self._url}api/runs", json=inputs) as answer:
            return answer.status, await answer.json()


@pytest.mark.parametrize(
    ("field", "name", "data", "words"),
    [
        ("report", "a.pdf", b"x" * (MB + 1), "1.1 MB, and 1 MB are allowed"),
        ("report", "a.exe", b"x", "is not allowed"),
        ("pictures", "a.exe", b"x", "is not allowed"),
        ("topic", "a.pdf", b"x", "the form asks for no such file"),
        ("other", "a.pdf", b"x", "the form asks for no such file"),
    ],
)
async def test_a_file_that_the_page_would_not_send(field, name, data, words, site):
    """The backend refuses it with a sentence, and Dify gets nothing of it."""
    inputs = [REPORT, PICTURES, Variable(variable="topic")]
    there = await site(END, inputs=inputs, **SMALL)
    async with Visitor(there.url) as visitor:
        status, told = await visitor.send(field, name, data)
    assert status == 422
    assert words in told["message"]
    assert not there.dify.files


async def endless() -> AsyncIterator[bytes]:
    """Give more than any limit allows."""
    for _ in range(64):
        yield bytes(MB)


@pytest.mark.parametrize("kind", ["length that is not told", "compressed"])
async def test_a_size_that_is_hidden(kind, site):
    """More than is allowed gets to nobody, whatever was told of it."""
    there = await site(END, inputs=[REPORT], **SMALL)
    async with Visitor(there.url) as visitor:
        if kind == "compressed":
            bomb = gzip.compress(bytes(8 * MB))
            status, told = await visitor.send(
                "report", "a.pdf", bomb, **{"Content-Encoding": "gzip"}
            )
        else:
            status, told = await visitor.send("report", "a.pdf", endless())
    if status == 201:  # it is taken as it comes, and stays small
        assert [file.size for file in there.dify.files] == [len(bomb)]
    else:
        assert status == 422
        assert "size" in told["message"] or "bytes" in told["message"]
        assert not there.dify.files


async def test_a_file_is_passed_on_as_it_comes(site):
    """Dify has its first part before the browser has sent its last."""
    there = await site(END, inputs=[REPORT])
    rest = asyncio.Event()

    async def pieces() -> AsyncIterator[bytes]:
        yield bytes(4 * MB)
        await rest.wait()
        yield bytes(4 * MB)

    async with Visitor(there.url) as visitor:
        length = {"Content-Length": str(8 * MB)}
        sending = asyncio.create_task(
            visitor.send("report", "a.pdf", pieces(), **length)
        )
        async with asyncio.timeout(20):
            await there.upstream.has_sent(4 * MB)
        assert not sending.done()
        rest.set()
        assert (await sending)[0] == 201
    assert [file.size for file in there.dify.files] == [8 * MB]


async def test_a_visitor_who_leaves_while_a_file_is_sent(site, caplog, capsys):
    """The file is given up without a word, and the next one is taken."""
    there = await site(END, inputs=[REPORT])

    async def pieces() -> AsyncIterator[bytes]:
        yield bytes(4 * MB)
        await asyncio.Event().wait()

    async with Visitor(there.url) as visitor:
        length = {"Content-Length": str(8 * MB)}
        sending = asyncio.create_task(
            visitor.send("report", "a.pdf", pieces(), **length)
        )
        await there.upstream.has_sent(4 * MB)
        sending.cancel()
        await asyncio.wait([sending])
        status, _ = await visitor.send("report", "b.pdf", b"x")
        assert status == 201
    assert not [x for x in caplog.records if x.levelname == "ERROR"]
    assert "Traceback" not in capsys.readouterr().err


async def test_files_of_others(site):
    """No handle of another visitor's, and no name of Dify's for a file, starts a run."""
    there = await site(END, inputs=[REPORT])
    async with Visitor(there.url) as owner, Visitor(there.url) as thief:
        status, told = await owner.send("report", "a.pdf", b"x")
        assert status == 201
        file_id = there.dify.files[0].id
        attempts = [
            told,
            {"upload": file_id},
            {"upload": "x"},
            {"url": "file:///etc/passwd"},
            {"url": "https://example.org/a.pdf", "transfer_method": "tool_file"},
            {
                "type": "document",
                "transfer_method": "local_file",
                "upload_file_id": file_id,
            },
            {"transfer_method": "tool_file", "tool_file_id": file_id},
            [told],
            file_id,
            None,
        ]
        for attempt in attempts:
            status, answer = await thief.start({"report": attempt})
            assert status == 422, attempt
            assert file_id not in answer["message"]
        assert (await thief.start([told]))[0] == 422
        assert not there.dify.runs
        assert (await owner.start({"report": told}))[0] == 201
    (started,) = there.dify.runs
    assert started.inputs["report"]["related_id"] == file_id


async def test_a_cookie_that_is_not_ours(site):
    """Nobody becomes another end user of Dify's by naming it."""
    there = await site(END, inputs=[Variable(variable="topic")])
    cookies = {"visitor": "slack-U7"}
    async with (
        aiohttp.ClientSession(cookies=cookies) as session,
        session.post(f"{there.url}api/runs", json={"topic": "x"}) as answer,
    ):
        assert answer.status == 201
    assert there.dify.runs[0].user.startswith("visitor-")
