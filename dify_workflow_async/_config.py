"""Settings as values, each number with its reason."""

from __future__ import annotations

import os

from collections.abc import Mapping
from typing import Any

import attrs

from .errors import ConfigurationError


def _positive(_: object, attribute: attrs.Attribute[Any], value: Any) -> None:
    if value is None or not value > 0:
        msg = f"{attribute.name} must be more than 0, not {value!r}"
        raise ConfigurationError(msg)


def _not_negative(_: object, attribute: attrs.Attribute[Any], value: Any) -> None:
    if value is None or not value >= 0:
        msg = f"{attribute.name} must be 0 or more, not {value!r}"
        raise ConfigurationError(msg)


_may_be_none: Any = attrs.validators.optional(_positive)
_may_be_zero: Any = attrs.validators.optional(_not_negative)


@attrs.frozen(kw_only=True)
class Timeouts:
    """How long to wait for what, in seconds; None waits for ever.

    Attributes:
        connect: until the connection stands, TLS included.
        first_byte: until a stream's headers. Real servers send them within a second,
            before the workflow has done anything; a proxy may queue.
        idle: between two reads of a stream. Dify pings every 10 s (specification,
            section 6.1), so six pings in a row must have been lost.
        stall: of pings and no event, after which the run itself is read: on servers up
            to 1.12 a run that waits for a person pings for ever and says nothing.
        recovery: from the break of a stream until it goes on, or the run is known to
            have ended; 0: it is not looked for. None: for ever, but some servers call
            a run that died ``running``.
        total: for a whole run. None: a workflow may take an hour.
        request: for a whole call that is not a run, such as the run detail.
        tail: for speech after ``workflow_finished``, on servers before 1.13.
        stop: for the stop of a run that is left early, and for ``aclose()``.
    """

    connect: float | None = attrs.field(default=10.0, validator=_may_be_none)
    first_byte: float | None = attrs.field(default=60.0, validator=_may_be_none)
    idle: float | None = attrs.field(default=60.0, validator=_may_be_none)
    stall: float | None = attrs.field(default=120.0, validator=_may_be_none)
    recovery: float | None = attrs.field(default=300.0, validator=_may_be_zero)
    total: float | None = attrs.field(default=None, validator=_may_be_none)
    request: float | None = attrs.field(default=30.0, validator=_may_be_none)
    tail: float = attrs.field(default=2.0, validator=_not_negative)
    stop: float = attrs.field(default=5.0, validator=_positive)


@attrs.frozen(kw_only=True)
class Limits:
    """How much to hold in memory, in bytes.

    Attributes:
        max_event_bytes: one event. Dify repeats a node's outputs up to twice in one
            event: an output of 2 MB was seen as a line of 4.3 MB on a real server, so
            this leaves room for outputs of 15 MB.
        max_body_bytes: a whole JSON answer, such as a run detail or a blocking run.
        max_error_bytes: what is read of the body of an error.
    """

    max_event_bytes: int = attrs.field(default=32 * 1024 * 1024, validator=_positive)
    max_body_bytes: int = attrs.field(default=64 * 1024 * 1024, validator=_positive)
    max_error_bytes: int = attrs.field(default=64 * 1024, validator=_positive)


@attrs.frozen
class Settings:
    """Which app on which server, for which end user."""

    base_url: str
    user: str


DEFAULT_BASE_URL = "https://api.dify.ai/v1"


def settings(
    base_url: str | None,
    user: str | None,
    environ: Mapping[str, str] | None = None,
) -> Settings:
    """Complete the arguments from the environment; `_secret` finds the key.

    Args:
        base_url: the server, else ``DIFY_BASE_URL``, else Dify Cloud.
        user: the end user's id, else ``DIFY_USER``; may stay empty here, since every
            call may name its own.
        environ: the environment, ``os.environ`` if not given.
    """
    environ = os.environ if environ is None else environ
    return Settings(
        base_url or environ.get("DIFY_BASE_URL") or DEFAULT_BASE_URL,
        user or environ.get("DIFY_USER", ""),
    )
