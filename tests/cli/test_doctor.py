"""``doctor``, against servers and proxies that do what they should not."""

from __future__ import annotations

import asyncio
import json

from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from dify_workflow_async.local import Node, Sleep, Variable
from dify_workflow_async.local.faults import (
    Busy,
    Drop,
    ErrorPage,
    Gzip,
    HangUp,
    Redirect,
)

from ._bad_servers import (
    authority,
    context_for,
    listening,
    page,
    proxy,
    saying,
    self_signed,
)
from ._verbs import (
    Done,
    begin,
    ended,
    invoked,
    served,
    settings,
)


END = Node(type="end", outputs={"text": "x"})
LONG = (
    Node(type="llm", text="a", delay=0.4),
    Node(type="code", id="b"),
    Sleep(seconds=0.4),
    END,
)


async def doctor(base_url: str, *arguments: str, **env: str) -> Done:
    """Let it look at a server, in a thread."""
    own = settings(base_url, **env)
    return await asyncio.to_thread(partial(invoked, ("doctor", *arguments), own))


def findings(done: Done) -> dict[str, tuple[str, str, str]]:
    """What was told, by check: the mark, the cause and the remedy."""
    found: dict[str, tuple[str, str, str]] = {}
    last = ""
    for line in done.lines:
        if line.startswith(" "):
            mark, told, _ = found[last]
            found[last] = (mark, told, line.strip().removeprefix("→ "))
        else:
            last, told = line[2:14].strip(), line[14:]
            found[last] = (line[0], told, "")
    return found


def trouble(done: Done, check: str, mark: str = "✗") -> str:
    """Cause and remedy of a check that is marked so; others are not wrong."""
    found = findings(done)
    others = {name: told for name, told in found.items() if name != check}
    assert all(told[0] != "✗" for told in others.values()), done.out
    assert found[check][0] == mark, done.out
    assert found[check][2], "there must be a remedy"
    assert done.status == (mark == "✗"), done.out
    return f"{found[check][1]}: {found[check][2]}"


async def test_help():
    """It tells what a run costs, and what its exit statuses mean, in 80 columns."""
    async with served() as place:
        done = await place.process("doctor", "--help")

    assert done.status == 0
    assert "may cost" in " ".join(done.out.split())
    assert "0 nothing is wrong" in done.out
    assert done.width <= 80


async def test_all_is_well():
    """Each check is fine, and the run is measured."""
    async with served(*LONG) as place:
        done = await place.process("doctor", "--run")

    assert (done.status, done.err) == (0, "")
    found = findings(done)
    assert {mark for mark, *_ in found.values()} == {"✓"}
    assert list(found) == [
        *("base URL", "connection", "answer", "version", "clock", "key", "app"),
        *("stream", "buffering", "silence", "end"),
    ]
    assert found["version"][1] == "Dify 1.14.2"


async def test_nothing_is_run_unasked():
    """Runs cost: without --run none is started, and the sentence says how to ask."""
    inputs = [Variable(variable="topic", required=True)]
    async with served(END, inputs=inputs) as place:
        done = await place.run("doctor")
        assert place.server.runs == []

    assert done.status == 0
    mark, _, remedy = findings(done)["stream"]
    assert mark == "?"
    assert "--run --input topic=..." in remedy
    assert "may cost" in remedy


async def test_for_programs():
    """One JSON value: a list of findings."""
    async with served() as place:
        done = await place.run("doctor", "--json", DIFY_API_KEY="app-of-nobody")

    told = json.loads(done.out)
    assert done.status == 1
    assert told[-1] == {
        "check": "key",
        "mark": "wrong",
        "told": "the server knows no such key",
        "remedy": "take the app's key from its API Access; it begins with app-",
    }


async def test_on_a_narrow_terminal():
    """Sentences are folded, and stand under one another."""
    async with served() as place:
        done = await place.on_terminal("doctor", COLUMNS="60")

    assert "\x1b[32m✓" in done.out
    assert done.width <= 60


async def test_where_signs_cannot_be_shown():
    """Words stand in for what the encoding does not have."""
    async with served() as place:
        done = await place.process("doctor", PYTHONIOENCODING="ascii")

    assert done.status == 0
    assert done.lines[0].startswith("ok base URL")
    assert done.out.isascii()


# -- settings and the address ----------------------------------------------------------


async def test_without_a_key():
    """Nothing is sent, and that is a finding like others."""
    async with served() as place:
        done = await place.run("doctor", DIFY_API_KEY="")

    assert "no API key" in trouble(done, "settings")


@pytest.mark.parametrize(
    ("behind", "says"),
    [("/console/api", "use http://127.0.0.1:1/v1"), ("/v1/workflows/run", "use http")],
)
async def test_an_address_of_something_else(behind, says):
    """What cannot be the API's address is told before anything is sent."""
    done = await doctor(f"http://127.0.0.1:1{behind}")

    assert says in trouble(done, "base URL")


async def test_a_host_that_can_have_no_address():
    """It is told as what it is, and nothing more is looked at."""
    done = await doctor("http://a..b/v1")

    assert "'a..b' can be no name" in trouble(done, "name")
    assert "connection" not in findings(done)


async def test_nothing_listens():
    """The port is named."""
    async with served() as place:
        pass
    done = await place.run("doctor")

    assert f"port {place.server.port}" in trouble(done, "connection")


# -- who answers -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (page(), "a web page answers here"),
        (page("404 Not Found"), "has a page here that says 404"),
        (page("307 Temporary Redirect", b"", Location="/signin?x=1"), "/signin, and"),
        (
            page("301 Moved", b"", Location="https://127.0.0.1/v1/info"),
            "use https://127.0.0.1/v1",
        ),
        (
            page("301 Moved", b"", Location="https://dify.test/x"),
            "use https://dify.test/v1",
        ),
        (page("301 Moved", b"", Location="http://d.test/x"), "use http://d.test/v1"),
        (page("401 Unauthorized", Server="nginx"), "(nginx) refuses with 401"),
        (page("400 Bad Request", Server="nginx"), "use https://"),
        (page("418 Teapot"), "answers 418"),
        (page("502 Bad Gateway", CF_RAY="1"), "(cloudflare) says 502"),
        (page(body=b"{}", Content_Type="text/plain")[:-2], "no answer"),
        (page(body=b"[1]", Content_Type="application/json"), "is not Dify's API"),
        (b"SSH-2.0-OpenSSH_9.9\r\n", "speaks no HTTP"),
        (b"", "hung up without an answer"),
    ],
    ids=[
        *("a page", "a page's 404", "a login", "https", "https elsewhere", "elsewhere"),
        *("401 of a proxy", "400 of a port for TLS", "a proxy's", "a gateway's"),
        *(
            "an answer that breaks off",
            "some other JSON",
            "another protocol",
            "nothing",
        ),
    ],
)
async def test_who_answers_is_not_dify(answer, says):
    """The cause is told, and what to write instead."""
    async with listening(saying(answer)) as port:
        done = await doctor(f"http://127.0.0.1:{port}")

    if says == "no answer":  # half of one
        assert findings(done)["answer"][0] == "✗"
    else:
        assert says in trouble(done, "answer")


async def test_a_redirect_to_tls():
    """The most frequent redirect: the sentence has the address to use."""
    async with served() as place:
        place.server.fail_next(Redirect(to="scheme"), path="*/info")
        done = await place.run("doctor")

    secure = place.server.base_url.replace("http:", "https:")
    assert f"use {secure}" in trouble(done, "answer")


async def test_a_server_that_is_busy():
    """It is a matter of time, and so a doubt."""
    async with served() as place:
        place.server.fail_next(Busy(), path="*/info", times=None)
        done = await place.run("doctor")

    assert "too much to do" in trouble(done, "answer", "!")


async def test_a_server_that_hangs_up():
    """One that does so before it answers is no Dify that works."""
    async with served() as place:
        place.server.fail_next(HangUp(), path="*/info", times=None)
        done = await place.run("doctor")

    assert "hung up" in trouble(done, "answer")


# -- key, app, version, clock ----------------------------------------------------------


async def test_a_key_of_nobody():
    """Nothing of the key is shown."""
    async with served() as place:
        done = await place.run("doctor", DIFY_API_KEY="app-of-nobody")

    assert "knows no such key" in trouble(done, "key")
    assert "of-nobody" not in done.out + done.err
    assert findings(done)["answer"][0] == "✓"


async def test_a_key_of_another_kind_of_app():
    """Its kind is told."""
    async with served(app={"mode": "advanced-chat", "name": "Chat"}) as place:
        done = await place.run("doctor")

    assert "'Chat', which is of the kind advanced-chat" in trouble(done, "key")


async def test_an_app_that_is_not_published():
    """The key is fine, and the app is not."""
    refusal = (
        b'{"code": "app_unavailable", "message": "App unavailable", "status": 400}'
    )
    as_json = {"Content_Type": "application/json", "X_Version": "1.14.2"}
    answers = [
        page(body=b'{"name": "New", "mode": "workflow"}', **as_json),
        page("400 BAD REQUEST", refusal, **as_json),
    ]
    async with listening(saying(*answers)) as port:
        done = await doctor(f"http://127.0.0.1:{port}")

    assert "publish it" in trouble(done, "app")
    assert findings(done)["clock"][0] == "?"  # no Date


async def test_an_old_version_in_doubt():
    """It works, and what does not is told; who is strict takes that for wrong."""
    async with served(version="1.12.1") as place:
        done = await place.run("doctor")
        strict = await place.run("doctor", "--strict")

    assert "upgrade to 1.14" in trouble(done, "version", "!")
    assert strict.status == 1


@pytest.mark.parametrize(
    ("date", "says"), [(b"2001", "behind"), (b"2101", "ahead")], ids=["slow", "fast"]
)
async def test_a_clock_that_is_wrong(date, says):
    """The server's clock is compared with this machine's, by its Date header."""

    def change(head: bytes) -> bytes:
        before, _, rest = head.partition(b"Date: ")
        _, _, after = rest.partition(b"\r\n")
        wrong = b"Mon, 01 Jan %s 00:00:00 GMT\r\n" % date
        return before.replace(b"X-Version: 1.14.2\r\n", b"") + b"Date: " + wrong + after

    async with (
        served() as place,
        listening(proxy(place.server.port, change=change)) as port,
    ):
        done = await doctor(f"http://127.0.0.1:{port}")

    assert says in trouble(done, "clock", "!")


# -- TLS -------------------------------------------------------------------------------


async def test_a_certificate_that_is_good(tmp_path):
    """With its authority named, all the way to the app is looked at."""
    ca, path = authority(tmp_path)
    context = context_for(ca, "localhost")
    async with (
        served() as place,
        listening(proxy(place.server.port), context=context) as port,
    ):
        env = settings(f"https://localhost:{port}", SSL_CERT_FILE=path)
        async with begin("doctor", env=env) as process:
            done = await ended(process)

    assert (done.status, done.err) == (0, "")
    found = findings(done)
    assert found["TLS"][0] == "✓"
    assert "trustme" in found["TLS"][1]
    assert found["name"][0] == found["key"][0] == "✓"


@pytest.mark.parametrize(
    ("name", "days", "says", "mark"),
    [
        ("localhost", 9, "expires in 9.0 days", "!"),
        ("localhost", -1, "has expired: renew it", "✗"),
        ("localhost", 200, "is not valid yet", "✗"),
        ("dify.test", 90, "is for another host", "✗"),
    ],
    ids=["soon to expire", "expired", "not valid yet", "for another host"],
)
async def test_a_certificate_that_is_not(tmp_path, name, days, says, mark):
    """The sentence says what is wrong with it, and what to do."""
    ca, path = authority(tmp_path)
    context = context_for(ca, name, ends_in=timedelta(days=days, minutes=10))
    async with listening(saying(page()), context=context) as port:
        done = await doctor(f"https://localhost:{port}", SSL_CERT_FILE=path)

    found = findings(done)["TLS"]
    assert found[0] == mark
    assert says in f"{found[1]}: {found[2]}"


@pytest.mark.parametrize("kind", ["by itself", "by an authority"])
async def test_a_certificate_of_who_knows_whom(tmp_path, kind):
    """The environment may name its authority, and the sentence says how."""
    ca, _ = authority(tmp_path)
    context = self_signed() if kind == "by itself" else context_for(ca, "localhost")
    async with listening(saying(page()), context=context) as port:
        done = await doctor(f"https://localhost:{port}")

    assert "SSL_CERT_FILE" in trouble(done, "TLS")


async def test_no_tls():
    """A port that speaks none is told as that."""
    async with served() as place:
        url = place.server.base_url.replace("http:", "https:")
        done = await doctor(url)

    assert "speaks no TLS: use http://" in trouble(done, "TLS")


async def test_tls_without_saying_so():
    """http:// to a port for TLS is no HTTP."""
    async with listening(saying(page()), context=self_signed()) as port:
        done = await doctor(f"http://127.0.0.1:{port}")

    assert findings(done)["answer"][0] == "✗"
    assert done.status == 1


# -- the run ---------------------------------------------------------------------------


async def test_a_proxy_that_collects_the_stream():
    """All events come at the end, although they were written before."""
    async with (
        served(*LONG, close_delay=0) as place,
        listening(proxy(place.server.port, collects=True)) as port,
    ):
        env = settings(f"http://127.0.0.1:{port}")
        async with begin("doctor", "--run", env=env) as process:
            done = await ended(process)

    said = trouble(done, "buffering")
    assert "proxy_buffering off" in said
    assert "X-Accel-Buffering: no" in said


async def test_a_run_that_is_too_short():
    """Whether a proxy collects its events cannot be told."""
    async with served(END) as place:
        done = await place.run("doctor", "--run")

    assert findings(done)["buffering"][0] == "?"
    assert done.status == 0


async def test_a_stream_that_breaks():
    """Its run is found again, and the break is told all the same."""
    async with served(*LONG) as place:
        place.server.fail_next(Drop(after_events=3), path="*/workflows/run")
        done = await place.run("doctor", "--run")

    assert "broke once" in trouble(done, "end")


@pytest.mark.parametrize("status", [504, 524])
async def test_a_gateway_that_gives_up(status):
    """It is told which limit to raise."""
    async with served(*LONG) as place:
        fault = ErrorPage(status=status, starts_run=True)
        place.server.fail_next(fault, path="*/workflows/run")
        done = await place.run("doctor", "--run")

    said = trouble(done, "stream")
    assert f"gave up after 0.0 s: {status}" in said.replace("0.1 s", "0.0 s")
    assert "proxy_read_timeout" in said


async def test_a_server_that_hangs_up_on_the_run():
    """Nobody knows whether it began, and that is told."""
    async with served(*LONG) as place:
        place.server.fail_next(HangUp(), path="*/workflows/run")
        done = await place.run("doctor", "--run")

    assert "whether the run began is not known" in trouble(done, "stream")


async def test_a_stream_that_is_compressed():
    """Compressing collects events, too."""
    async with served(*LONG) as place:
        place.server.fail_next(Gzip(), path="*/workflows/run")
        done = await place.run("doctor", "--run", "--json")

    doubts = [x for x in json.loads(done.out) if x["mark"] == "doubt"]
    assert ["gzip" in x["told"] for x in doubts] == [True]


async def test_a_run_that_fails():
    """The way is fine, and the workflow is not: that is a doubt."""
    steps = (Node(type="code", status="failed", error="no such thing"),)
    async with served(*steps) as place:
        done = await place.run("doctor", "--run")

    assert "no such thing" in trouble(done, "end", "!")


async def test_a_run_that_takes_too_long():
    """It is stopped, and nothing is said of its end."""
    async with served(Node(type="llm"), Sleep(seconds=3600)) as place:
        done = await place.run("doctor", "--run", "--timeout", "0.7")
        assert [run.status for run in place.server.runs] == ["stopped"]

    assert findings(done)["end"][0] == "?"


INPUTS = [
    Variable(variable="topic", required=True),
    Variable(variable="count", type="number"),
    Variable(variable="files", type="file-list"),
]


async def test_inputs_for_the_run(tmp_path):
    """They are what the form makes of the texts; files are uploaded."""
    for name in ("a.txt", "b.txt"):
        (tmp_path / name).write_text(name)
    files = [("--input", f"files=@{tmp_path / name}") for name in ("a.txt", "b.txt")]
    async with served(END, inputs=INPUTS) as place:
        given = [
            "-i",
            "topic=a = b",
            "-i",
            "count=3",
            *(x for pair in files for x in pair),
        ]
        done = await place.run("doctor", "--run", *given)
        (run,) = place.server.runs
        uploads = [file.name for file in place.server.files]

    assert done.status == 0, done.out
    assert run.inputs["topic"] == "a = b"
    assert run.inputs["count"] == 3
    assert sorted(uploads) == ["a.txt", "b.txt"]  # side by side


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ([], "topic"),
        (["topic"], "NAME=TEXT"),
        (["topic=x", "colour=red"], "colour"),
        (["topic=x", "files=@/nowhere/a.txt"], "/nowhere/a.txt"),
    ],
    ids=["missing", "no pair", "unknown", "no file"],
)
async def test_inputs_that_do_not_fit(given, says):
    """Nothing is run, and each is named."""
    async with served(END, inputs=INPUTS) as place:
        words: list[Any] = [word for each in given for word in ("--input", each)]
        done = await place.run("doctor", "--run", *words)
        assert place.server.runs == []

    said = trouble(done, "stream")
    assert "nothing was run" in said
    assert says in said


async def test_an_input_without_a_run():
    """It is told before anything is sent."""
    async with served() as place:
        done = await place.run("doctor", "--input", "a=b")
        assert list(place.server.requests) == []

    assert done.status == 2
    assert "--run asks for" in done.err
