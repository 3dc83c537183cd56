"""What a good answer says of the server: its version, its clock, its app."""

from __future__ import annotations

import re

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from ...models import AppInfo, Parameters
from .._text import printable
from ._answers import proxy_of
from ._finding import Finding, doubt, fine, unknown, wrong
from ._session import Heard


SKEW = timedelta(seconds=10)
"""How far apart clocks may be: the header has whole seconds, and answers take some."""

FORMS_SINCE = (1, 14)
"""Since when streams are opened again after a break, and forms are answered."""


def judge_answer(heard: Heard) -> Finding:
    """Judge an answer that is Dify's."""
    by = proxy_of(heard.headers)
    behind = f", behind {by}" if by else ""
    told = f"Dify's API answers after {heard.seconds * 1_000:.0f} ms{behind}"
    return fine("answer", told)


def judge_version(heard: Heard) -> Finding:
    """Judge the version of Dify, which each of its answers tells."""
    version = heard.headers.get("X-Version")
    if version is None:
        told = "the server does not tell its version"
        remedy = "have the proxy pass on X-Version, or ask who runs Dify"
        return doubt("version", told, remedy)
    told = f"Dify {printable(version, 40)}"
    found = re.match(r"(\d+)\.(\d+)", version)
    if found and (int(found[1]), int(found[2])) < FORMS_SINCE:
        told += " can neither open a broken stream again nor take answers to forms"
        return doubt("version", told, "upgrade to 1.14 or newer")
    return fine("version", told)


def judge_clock(heard: Heard) -> Finding:
    """Compare the server's clock with that of this machine."""
    check = "clock"
    try:
        there = parsedate_to_datetime(heard.headers.get("Date", ""))
    except ValueError:
        return unknown(check, "the server does not tell its time")
    there = there.replace(tzinfo=UTC) if there.tzinfo is None else there
    # It was written at some moment between the question and the answer.
    early, late = heard.began - there, there - heard.at
    apart = max(early, late, timedelta())
    if apart <= SKEW:
        return fine(check, "this machine's clock and the server's agree")
    is_behind = early > late
    told = f"the server's clock is {_span(apart)} {'behind' if is_behind else 'ahead'}"
    remedy = (
        "let both machines set their clocks by NTP: times in filters and logs differ"
    )
    return doubt(check, told, remedy)


def _span(time: timedelta) -> str:
    seconds = time.total_seconds()
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:,.0f} min"


def judge_key(info: AppInfo) -> Finding:
    """Judge which app the key belongs to."""
    name = f"app {printable(info.name or 'without a name', 60)!r}"
    if info.mode is not None and info.mode != "workflow":
        told = f"the key is that of {name}, which is of the kind {printable(info.mode)}"
        return wrong("key", told, "take the key of a Workflow app")
    return fine("key", f"it is that of {name}")


def judge_form(parameters: Parameters) -> Finding:
    """Tell what the app asks for."""
    names = [x.variable or "" for x in parameters.user_input_form]
    told = ", ".join(map(printable, names)) or "no inputs"
    return fine("app", f"it is published, and asks for {told}")


def required(parameters: Parameters) -> list[str]:
    """The inputs without which a run is refused."""
    return [x.variable or "" for x in parameters.user_input_form if x.required]


def now() -> datetime:
    """The time of this machine."""
    return datetime.now(UTC)
