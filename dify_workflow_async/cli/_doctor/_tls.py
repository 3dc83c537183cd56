"""What the way to the server means: name, port, and TLS."""

from __future__ import annotations

import socket
import ssl

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from .._text import printable
from ._finding import Finding, doubt, fine, wrong
from ._network import PATIENCE, Step


SLOW = 1.0
"""Seconds for a step that takes some hundredths on a good day."""

SOON = timedelta(days=14)
"""Before a certificate ends: those of Let's Encrypt are renewed 30 days before."""


def judge_name(host: str, step: Step) -> Finding:
    """Judge how the name of the host was resolved."""
    check = "name"
    match step.error:
        case None:
            told = f"{host} is {', '.join(step.tells['addresses'])}"
            return _timed(check, told, step.seconds, "look at this machine's DNS")
        case TimeoutError():
            told = f"no answer to the question for {host} within {PATIENCE:.0f} s"
            return wrong(check, told, "look at this machine's DNS, or its VPN")
        case socket.gaierror():
            told = f"there is no address for {host}: {step.error.strerror}"
        case _:
            told = f"{host!r} can be no name: {step.error}"
    return wrong(check, told, "correct the host of the base URL, or join its network")


def judge_connection(host: str, port: int, step: Step) -> Finding:
    """Judge how a connection to the port was made."""
    check, place = "connection", f"port {port} of {host}"
    match step.error:
        case None:
            remedy = "look at the way to the server: it is long, or loses packets"
            return _timed(check, f"{place} takes connections", step.seconds, remedy)
        case ConnectionRefusedError():
            told = f"nothing listens at {place}"
            return wrong(check, told, "start Dify, or correct the base URL's port")
        case TimeoutError():
            told = f"{place} did not answer within {PATIENCE:.0f} s"
            remedy = "let firewalls on the way, or the VPN, pass it"
        case _:
            told = f"{place} cannot be reached: {step.error}"
            remedy = "look at this machine's network, or its VPN"
    return wrong(check, told, remedy)


def _timed(check: str, told: str, seconds: float, remedy: str) -> Finding:
    if seconds > SLOW:
        return doubt(check, f"{told}, which took {seconds:.1f} s", remedy)
    return fine(check, f"{told} ({seconds * 1_000:.0f} ms)")


# OpenSSL's reasons to refuse a certificate (x509_vfy.h), and what to do.
_REFUSED: Mapping[int, tuple[str, str]] = {
    9: ("is not valid yet", "set this machine's clock, or the server's certificate"),
    10: ("has expired", "renew it on the server"),
    18: ("is signed by itself", "{trust}"),
    19: ("comes from an authority that this machine does not know", "{trust}"),
    20: (
        "comes from an authority that this machine does not know, or lacks a link to it",
        "have the server send its full chain, or else {trust}",
    ),
    21: ("cannot be traced to an authority", "have the server send its full chain"),
    23: ("has been revoked", "renew it on the server"),
    62: ("is for another host", "use the name that it is for, or get one for {host}"),
    64: (
        "is for another address",
        "use the name that it is for, or get one for {host}",
    ),
}
_ANEW = "issue it anew, as RFC 5280 wants it, which Python 3.13 insists on"
_TRUST = "name its authority in the environment: SSL_CERT_FILE=/path/to/ca.pem"


def judge_tls(host: str, step: Step, *, now: datetime) -> Finding:
    """Judge the handshake, and the certificate."""
    check = "TLS"
    match step.error:
        case None:
            return _judge_certificate(step, now)
        case ssl.SSLCertVerificationError():
            why, remedy = _REFUSED.get(
                step.error.verify_code,
                (f"is refused: {step.error.verify_message}", _ANEW),
            )
            told = f"the server's certificate {why}"
            return wrong(check, told, remedy.format(trust=_TRUST, host=host))
        case ssl.SSLError() if step.error.reason in _NOT_TLS:
            told = "what listens there speaks no TLS"
            remedy = "use http:// in the base URL, or the port that speaks TLS"
            return wrong(check, told, remedy)
        case ssl.SSLError():
            told = f"no handshake: {step.error.reason or step.error}"
            return wrong(
                check, told, "look at the server's versions of TLS, and ciphers"
            )
        case TimeoutError():
            told = f"the handshake did not end within {PATIENCE:.0f} s"
        case _:
            told = f"the server broke off the handshake: {step.error}"
    return wrong(check, told, "see that this port is one for TLS, and its proxy works")


_NOT_TLS = {
    "WRONG_VERSION_NUMBER",
    "HTTP_REQUEST",
    "UNKNOWN_PROTOCOL",
    "RECORD_LAYER_FAILURE",
}


def _judge_certificate(step: Step, now: datetime) -> Finding:
    certificate: Mapping[str, Any] = step.tells.get("certificate") or {}
    told = f"{step.tells['version']}, with a certificate of {_issuer(certificate)}"
    ends = _end_of(certificate)
    if ends is None:
        return fine("TLS", told)
    if ends - now > SOON:
        return fine("TLS", f"{told} until {ends:%Y-%m-%d}")
    days = (ends - now) / timedelta(days=1)
    told = (
        f"the certificate of the server expires in {days:.1f} days, on {ends:%Y-%m-%d}"
    )
    return doubt("TLS", told, "see why nobody has renewed it yet")


def _end_of(certificate: Mapping[str, Any]) -> datetime | None:
    ends = certificate.get("notAfter")
    if not isinstance(ends, str):
        return None
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(ends), UTC)


def _issuer(certificate: Mapping[str, Any]) -> str:
    names = {
        name: value for part in certificate.get("issuer", ()) for name, value in part
    }
    told = names.get("organizationName") or names.get("commonName") or "an authority"
    return printable(str(told), 60)
