"""What it means that the server did not answer as Dify's API does."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from ...errors import (
    APIError,
    AppUnavailable,
    BadRequest,
    ConnectionLost,
    DifyError,
    Forbidden,
    GatewayError,
    NotFound,
    NotWorkflowApp,
    Timeout,
    TooManyRequests,
    TransportError,
    Unauthorized,
    UnexpectedAnswer,
)
from .._text import printable
from ._finding import Finding, doubt, wrong


_THE_API = "use the address that Dify shows under API Access of the app, mostly https://HOST/v1"


def judge_refusal(error: DifyError, base_url: str) -> Finding:
    """Judge an error of a read, such as ``GET /info``."""
    if isinstance(error, APIError) and error.code is None:
        return _judge_foreign(error, base_url)
    match error:
        case Unauthorized():
            told = "the server knows no such key"
            remedy = "take the app's key from its API Access; it begins with app-"
            return wrong("key", told, remedy)
        case Forbidden():
            told = f"the app's API is switched off: {printable(error.message)}"
            return wrong("key", told, "switch it on in the app's overview")
        case NotWorkflowApp():
            told = "the key belongs to an app of another kind than Workflow"
            return wrong("app", told, "take the key of a Workflow app")
        case AppUnavailable():
            told = "nothing of the app is published"
            return wrong("app", told, "publish it in Dify's editor")
        case TooManyRequests():
            told = "the server has too much to do"
            return doubt("answer", told, "try again later, or with fewer runs at once")
        case NotFound():
            told = f"there is no such path: {printable(error.message)}"
            return wrong("answer", told, _THE_API)
        case UnexpectedAnswer():
            return _judge_unexpected(error, base_url)
        case TransportError():
            return _judge_silence(error)
        case _:
            told = f"the server refused: {printable(str(error))}"
            return wrong("answer", told, "look into the log of Dify's api service")


def _judge_foreign(error: APIError, base_url: str) -> Finding:
    """An error whose body is not Dify's: somebody before it has answered."""
    kind, status = "answer", error.status
    by = _told_by(error.headers or {})
    match error:
        case Unauthorized() | Forbidden():
            told = f"{by} refuses with {status} before Dify is asked"
            return wrong(kind, told, "let this machine, or this path, pass there")
        case NotFound():
            told = f"{by} has a page here that says 404, and no API"
            return wrong(kind, told, _THE_API)
        case GatewayError():
            told = f"{by} says {status}: it does not reach Dify, or gave up waiting"
            return wrong(
                kind, told, "see that Dify's api service runs, and is not full"
            )
        case BadRequest() if status == 400 and urlsplit(base_url).scheme == "http":
            told = f"{by} refuses with 400, as ports for TLS do when spoken to without"
            return wrong(kind, told, "use https:// in the base URL")
        case _:
            told = f"{by} answers {status}, and it is not Dify's API that does"
            return wrong(kind, told, _THE_API)


def _told_by(headers: Mapping[str, str]) -> str:
    """Who sent an answer that is not Dify's."""
    name = proxy_of(headers)
    return f"something before Dify ({name})" if name else "something before Dify"


def _judge_unexpected(error: UnexpectedAnswer, base_url: str) -> Finding:
    headers = {name.lower(): x for name, x in (error.headers or {}).items()}
    location = headers.get("location", "").partition("?")[0]
    if error.headers is None:
        told = f"what listens there speaks no HTTP: {printable(error.message)}"
        remedy = (
            "correct the port of the base URL, or use https:// if it is one for TLS"
        )
        return wrong("answer", told, remedy)
    if location:
        return _judge_redirect(printable(location), base_url)
    if "html" in headers.get("content-type", "").lower():
        told = "a web page answers here, such as that of Dify's console, and no API"
        return wrong("answer", told, _THE_API)
    told = f"what answers here is not Dify's API: {printable(error.message)}"
    return wrong("answer", told, _THE_API)


def _judge_redirect(location: str, base_url: str) -> Finding:
    here, there = urlsplit(base_url), urlsplit(location)
    told = f"the server redirects to {location}, and a key does not follow"
    if there.scheme == "https" and here.scheme == "http":
        if there.hostname in {here.hostname, None}:
            netloc = there.netloc or here.netloc
            return wrong("answer", told, f"use https://{netloc}{here.path}")
        return wrong("answer", told, f"use https://{there.netloc}/v1")
    if there.netloc not in {here.netloc, ""}:
        return wrong("answer", told, f"use {there.scheme}://{there.netloc}/v1")
    return wrong("answer", f"{told}: it takes this for a page", _THE_API)


def _judge_silence(error: TransportError) -> Finding:
    """No answer, although a connection was made just before."""
    match error:
        case Timeout():
            told = f"no answer came: {printable(error.message)}"
            remedy = "see that Dify's api service runs, and is not full"
        case ConnectionLost():
            told = f"the server hung up without an answer: {printable(error.message)}"
            remedy = "see that this port is Dify's, and look into its proxy's log"
        case _:
            told = printable(error.message)
            remedy = "see the findings above"
    return wrong("answer", told, remedy)


_PROXIES = ("nginx", "openresty", "cloudflare", "caddy", "apache", "traefik", "envoy")


def proxy_of(headers: Mapping[str, str]) -> str | None:
    """The proxy that an answer names, if it does."""
    small = {name.lower(): value.lower() for name, value in headers.items()}
    if "cf-ray" in small:
        return "cloudflare"
    named = f"{small.get('server', '')} {small.get('via', '')}"
    return next((name for name in _PROXIES if name in named), None)
