"""What the doctor makes of what it saw: pure, as tables."""

from __future__ import annotations

import socket
import ssl

from datetime import UTC, datetime, timedelta

import pytest

from dify_workflow_async import errors
from dify_workflow_async.cli._doctor._address import judge_address
from dify_workflow_async.cli._doctor._answers import judge_refusal, proxy_of
from dify_workflow_async.cli._doctor._finding import Mark
from dify_workflow_async.cli._doctor._network import Step
from dify_workflow_async.cli._doctor._pace import held_back, judge_run
from dify_workflow_async.cli._doctor._server import (
    judge_clock,
    judge_key,
    judge_version,
)
from dify_workflow_async.cli._doctor._session import Heard
from dify_workflow_async.cli._doctor._stream import Beat, Watched
from dify_workflow_async.cli._doctor._tls import (
    judge_connection,
    judge_name,
    judge_tls,
)
from dify_workflow_async.models import AppInfo, Recovered, RunResult


URL = "https://dify.test/v1"
NOW = datetime(2026, 1, 31, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("base_url", "in_clear", "mark", "says"),
    [
        (URL, False, Mark.FINE, URL),
        ("https://dify.test/sub/v1", False, Mark.FINE, "/sub/v1"),
        ("http://dify.test/v1", True, Mark.DOUBT, "use https://"),
        ("https://dify.test/console/api/v1", False, Mark.WRONG, f"use {URL}"),
        ("https://dify.test/api/v1", False, Mark.WRONG, f"use {URL}"),
        ("https://dify.test/v1/workflows/v1", False, Mark.WRONG, f"use {URL}"),
        (
            "https://dify.test/a/v1/run/v1",
            False,
            Mark.WRONG,
            "use https://dify.test/a/v1",
        ),
    ],
)
def test_addresses(base_url, in_clear, mark, says):
    """Of a base URL can be said what it is not, before anything is sent."""
    found = judge_address(base_url, in_clear=in_clear)

    assert found.mark is mark
    assert says in f"{found.told}; {found.remedy}"


@pytest.mark.parametrize(
    ("step", "mark", "says"),
    [
        (Step(seconds=0.01, tells={"addresses": ["::1"]}), Mark.FINE, "(10 ms)"),
        (Step(seconds=3, tells={"addresses": ["::1"]}), Mark.DOUBT, "took 3.0 s"),
        (Step(seconds=10, error=TimeoutError()), Mark.WRONG, "within 10 s"),
        (
            Step(seconds=1, error=socket.gaierror(-2, "Name or service not known")),
            Mark.WRONG,
            "Name or service not known",
        ),
    ],
    ids=["fine", "slow", "no answer", "no such name"],
)
def test_names(step, mark, says):
    """How the name was resolved."""
    found = judge_name("dify.test", step)
    assert (found.check, found.mark) == ("name", mark)
    assert says in found.told


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (ConnectionRefusedError(), "nothing listens"),
        (TimeoutError(), "did not answer within 10 s"),
        (OSError(101, "Network is unreachable"), "Network is unreachable"),
    ],
    ids=["refused", "filtered", "unreachable"],
)
def test_connections(error, says):
    """Why none was made."""
    found = judge_connection("dify.test", 443, Step(seconds=1, error=error))
    assert (found.check, found.mark) == ("connection", Mark.WRONG)
    assert says in found.told


def refused(code: int, message: str = "why") -> ssl.SSLCertVerificationError:
    """An error as OpenSSL makes it."""
    error = ssl.SSLCertVerificationError(1, message)
    error.verify_code, error.verify_message = code, message
    return error


def no_handshake(reason: str) -> ssl.SSLError:
    error = ssl.SSLError(1, reason)
    error.reason = reason
    return error


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (refused(10), "has expired; renew it"),
        (refused(18), "signed by itself; name its authority"),
        (refused(20), "full chain"),
        (refused(62), "get one for dify.test"),
        (refused(79, "invalid CA certificate"), "is refused: invalid CA certificate"),
        (no_handshake("WRONG_VERSION_NUMBER"), "speaks no TLS"),
        (no_handshake("UNSUPPORTED_PROTOCOL"), "no handshake: UNSUPPORTED_PROTOCOL"),
        (TimeoutError(), "did not end within 10 s"),
        (ConnectionResetError("reset"), "broke off the handshake: reset"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_tls(error, says):
    """Why no handshake came about."""
    found = judge_tls("dify.test", Step(seconds=1, error=error), now=NOW)
    assert (found.check, found.mark) == ("TLS", Mark.WRONG)
    assert says in f"{found.told}; {found.remedy}"


@pytest.mark.parametrize(
    ("certificate", "mark", "says"),
    [
        ({"notAfter": "Mar 31 12:00:00 2026 GMT"}, Mark.FINE, "until 2026-03-31"),
        ({"notAfter": "Feb 14 12:00:01 2026 GMT"}, Mark.FINE, "until 2026-02-14"),
        ({"notAfter": "Feb 14 12:00:00 2026 GMT"}, Mark.DOUBT, "in 14.0 days"),
        ({"issuer": ((("commonName", "Own\x1b CA"),),)}, Mark.FINE, "of Own� CA"),
        (None, Mark.FINE, "of an authority"),
    ],
)
def test_certificates(certificate, mark, says):
    """Two weeks before its end is late to renew one."""
    tells = {"version": "TLSv1.3", "certificate": certificate}
    found = judge_tls("dify.test", Step(seconds=0.1, tells=tells), now=NOW)
    assert found.mark is mark
    assert says in found.told


def heard(**headers: str) -> Heard:
    """An answer to a question of NOW that took 0.2 s."""
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return Heard(
        method="GET",
        path="/v1/info",
        status=200,
        headers=names,
        began=NOW,
        at=NOW + timedelta(seconds=0.2),
        seconds=0.2,
    )


@pytest.mark.parametrize(
    ("date", "mark", "says"),
    [
        ("Sat, 31 Jan 2026 12:00:10 GMT", Mark.FINE, "agree"),
        ("Sat, 31 Jan 2026 11:59:50 GMT", Mark.FINE, "agree"),
        ("Sat, 31 Jan 2026 12:00:11 GMT", Mark.DOUBT, "is 11 s ahead"),
        ("Sat, 31 Jan 2026 11:59:49 GMT", Mark.DOUBT, "is 11 s behind"),
        ("Sat, 31 Jan 2026 11:00:00 -0000", Mark.DOUBT, "60 min behind"),
        ("yesterday", Mark.UNKNOWN, "does not tell"),
    ],
)
def test_clocks(date, mark, says):
    """The answer was written at some moment between the question and its coming."""
    found = judge_clock(heard(Date=date))
    assert found.mark is mark
    assert says in found.told


@pytest.mark.parametrize(
    ("version", "mark"),
    [
        ("1.14.0", Mark.FINE),
        ("2.0.0-beta", Mark.FINE),
        ("1.13.9", Mark.DOUBT),
        ("0.15.3", Mark.DOUBT),
        ("our own", Mark.FINE),
        (None, Mark.DOUBT),
    ],
)
def test_versions(version, mark):
    """What older ones cannot do is told; forks may say anything."""
    headers = {} if version is None else {"X_Version": version}
    assert judge_version(heard(**headers)).mark is mark


@pytest.mark.parametrize(
    ("mode", "mark"),
    [("workflow", Mark.FINE), (None, Mark.FINE), ("chat", Mark.WRONG)],
)
def test_kinds_of_apps(mode, mark):
    """Servers before 1.4 do not tell the kind."""
    assert judge_key(AppInfo(name="A", mode=mode)).mark is mark


@pytest.mark.parametrize(
    ("error", "check", "says"),
    [
        (errors.Forbidden(code="forbidden", status=403), "key", "switched off"),
        (errors.NotWorkflowApp(code="not_workflow_app", status=400), "app", "kind"),
        (errors.NotFound(code="not_found", status=404), "answer", "no such path"),
        (errors.ServerError(code="x", status=500), "answer", "the server refused"),
        (errors.FirstByteTimeout("late"), "answer", "no answer came: late"),
        (errors.ConnectionFailed("no way"), "answer", "no way"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_refusals(error, check, says):
    """Which check an error belongs to, and what it says."""
    found = judge_refusal(error, URL)
    assert (found.check, found.mark) == (check, Mark.WRONG)
    assert says in found.told
    assert found.remedy


@pytest.mark.parametrize(
    ("headers", "proxy"),
    [
        ({"Server": "nginx/1.27"}, "nginx"),
        ({"server": "cloudflare"}, "cloudflare"),
        ({"CF-Ray": "1", "Server": "x"}, "cloudflare"),
        ({"Via": "1.1 Caddy"}, "caddy"),
        ({"Server": "gunicorn"}, None),
        ({}, None),
    ],
)
def test_proxies(headers, proxy):
    """Those that tell who they are."""
    assert proxy_of(headers) == proxy


# -- the pace of a run -----------------------------------------------------------------


def beats(*given: tuple[str, float, float | None]) -> tuple[Beat, ...]:
    """Events: name, seconds when it came, and when it was written."""
    return tuple(
        Beat(at, name, None if sent is None else NOW + timedelta(seconds=sent))
        for name, at, sent in given
    )


def run(*given: tuple[str, float, float | None], took: float, **options) -> Watched:
    """A run that took so many seconds on the server."""
    result = RunResult(status="succeeded", elapsed_time=took)
    return Watched(
        beats=beats(*given),
        seconds=given[-1][1] if given else 0.0,
        **({"result": result} | options),
    )


START, END = "workflow_started", "workflow_finished"


@pytest.mark.parametrize(
    ("watched", "held"),
    [
        (run((START, 0.1, 0), (END, 6.1, 6), took=6), 0),
        (run((START, 0.1, 0), (END, 5.2, 6), took=5.1), 0),
        (run((START, 6.0, 0), (END, 6.1, 6), took=6), pytest.approx(5.9)),
        (run((START, 0.9, 0), (END, 0.9, 1), took=0.8), pytest.approx(0.8)),
        (run((START, 0.1, 0), (END, 0.2, 0), took=0.2), None),
        (run((START, 0.1, None), took=3), None),
        (
            run(
                (START, 0.1, 0),
                ("node_started", 4.0, 1),  # with what came behind it
                ("node_finished", 4.0, 4),
                (END, 4.1, 4),
                took=4,
            ),
            pytest.approx(3.0),
        ),
    ],
    ids=[
        *("at once", "whole seconds", "all at the end", "a short one", "too short"),
        *("no end", "piece by piece"),
    ],
)
def test_buffering(watched, held):
    """What counts is how much longer some events were under way than others."""
    assert held_back(watched) == held


def judged(watched: Watched) -> dict[str, tuple[Mark, str]]:
    """What is found, by check."""
    found = judge_run(watched, base_url=URL, headers={"Server": "nginx"})
    assert all(each.remedy for each in found if each.mark in {Mark.WRONG, Mark.DOUBT})
    return {each.check: (each.mark, f"{each.told}; {each.remedy}") for each in found}


def test_a_stream_as_it_should_be():
    """Every check is fine, with its number."""
    found = judged(run((START, 0.2, 0), ("ping", 10.2, None), (END, 12, 12), took=12))

    assert {mark for mark, _ in found.values()} == {Mark.FINE}
    assert "first of 3 events came after 0.2 s" in found["stream"][1]
    assert "10 s at the most" in found["silence"][1]


def test_a_stream_that_is_collected():
    """The proxy is named, and silence, which is the same trouble, is not told too."""
    found = judged(run((START, 20.0, 0), (END, 20.1, 20), took=20))

    assert found["buffering"][0] is Mark.WRONG
    assert "(nginx)" in found["buffering"][1]
    assert "silence" not in found


def test_a_stream_without_pings():
    """Silence without pings is what others on the way will cut."""
    found = judged(run((START, 0.2, 0), (END, 40.2, 40), took=40))

    assert found["silence"][0] is Mark.DOUBT
    assert "not even a ping" in found["silence"][1]


def test_a_stream_that_broke_and_was_found_again():
    """Pace says nothing then: events come again."""
    recovered = Recovered(breaks=2, seconds=3, how="attached")
    result = RunResult(status="succeeded", elapsed_time=9, recovered=recovered)
    found = judged(run((START, 0.2, 0), (END, 9, 9), took=9, result=result))

    assert "buffering" not in found
    assert found["end"][0] is Mark.WRONG
    assert "broke 2 times" in found["end"][1]


@pytest.mark.parametrize(
    ("error", "mark", "says"),
    [
        (errors.IdleTimeout("nothing came"), Mark.WRONG, "proxy_read_timeout"),
        (errors.RunInterrupted("broke"), Mark.WRONG, "closes connections early"),
        (errors.TotalTimeout("late"), Mark.UNKNOWN, "longer --timeout"),
        (errors.ServerError("no model"), Mark.WRONG, "no model"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_a_stream_that_ended_with_an_error(error, mark, says):
    """What broke it, and how long it had been silent."""
    watched = Watched(beats=beats((START, 0.2, 0)), seconds=60.2, error=error)
    found = judged(watched)

    assert found["end"][0] is mark
    assert says in found["end"][1]
    assert "nothing came for 1 min 00 s" in found["silence"][1]


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (None, "ended after 1 min 00 s, and nothing had come"),
        (errors.GatewayError("x", status=504), "gave up after 1 min 00 s: 504"),
        (errors.RunStateUnknown("no answer"), "proxy_buffering off"),
        (errors.InvalidParam("x", code="invalid_param"), "run was refused: x"),
        (errors.UnexpectedAnswer("x", headers={}, status=200), "not Dify's API"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_a_stream_of_nothing(error, says):
    """A run that brought no event, and why."""
    found = judged(Watched(beats=(), seconds=60, error=error))
    ((mark, told),) = found.values()

    assert mark is Mark.WRONG
    assert says in told


@pytest.mark.parametrize(
    ("status", "mark"),
    [("paused", Mark.FINE), ("partial-succeeded", Mark.FINE), ("stopped", Mark.DOUBT)],
)
def test_ends_of_runs(status, mark):
    """How a run ended is not the way's fault."""
    result = RunResult(status=status, elapsed_time=1)
    found = judged(run((START, 0, 0), (END, 1, 1), took=1, result=result))
    assert found["end"][0] is mark
