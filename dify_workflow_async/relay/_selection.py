"""`Selection`: which events, and what of them, leave for a browser."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Any, cast

import attrs
import orjson

from .._convert import is_object
from ..errors import ConfigurationError
from ..events import Error, Event, Ping, TextChunk, UnknownEvent
from ..models import Value
from ._cleaning import lengths, shallow, without_ids
from ._fields import ALL, FIELDS, IDS


def _names(value: Iterable[str] | None) -> tuple[str, ...] | None:
    if isinstance(value, str):
        msg = f"name events in a list, not in one text: {value!r}"
        raise ConfigurationError(msg)
    return None if value is None else tuple(value)


def _some_names(value: Iterable[str]) -> tuple[str, ...]:
    return _names(value) or ()


def _tables(value: Mapping[str, Iterable[str]] | None) -> Mapping[str, tuple[str, ...]]:
    return {name: _some_names(fields) for name, fields in (value or {}).items()}


@attrs.frozen(kw_only=True)
class Selection:
    """Which events a browser gets, and which of their fields.

    By default that is what a page shows: the run's beginning and end with its outputs,
    text, speech, and the nodes by title, kind, status and time. Inputs, prompts,
    outputs of nodes, texts of errors, logs of agents and reasoning stay here.

    Attributes:
        include: names of events, or patterns such as ``node_*``, instead of the usual
            ones; None: those that ``FIELDS`` names.
        exclude: names and patterns to leave out of these.
        fields: by the name of an event, the fields of its data to send, instead of
            the usual ones; ``ALL`` sends the event as it came. An event that is named
            here is included.
        ids: True sends the server's ids, too. Otherwise ``task_id`` and
            ``workflow_run_id`` are left out, and a small number stands for each id of
            a node or an execution, the same one each time.

    Raises:
        ConfigurationError: a list of names is one text.
    """

    include: tuple[str, ...] | None = attrs.field(default=None, converter=_names)
    exclude: tuple[str, ...] = attrs.field(default=(), converter=_some_names)
    fields: Mapping[str, tuple[str, ...]] = attrs.field(
        factory=dict[str, tuple[str, ...]], converter=_tables
    )
    ids: bool = False

    @property
    def sends_originals(self) -> bool:
        """True if some events are sent as they came, ids and all."""
        return self.ids and ALL in self.fields.values()

    def fields_of(self, name: str) -> tuple[str, ...] | None:
        """The fields to send of events of this name; None: it is not sent."""
        if any(fnmatchcase(name, pattern) for pattern in self.exclude):
            return None
        if name in self.fields:
            return self.fields[name]
        usual = FIELDS.get(name)
        if self.include is None:
            return usual
        if any(fnmatchcase(name, pattern) for pattern in self.include):
            return usual or ()
        return None


class Projector:
    """Makes JSON of the events of one run, as a selection has it."""

    def __init__(self, selection: Selection) -> None:
        self._selection = selection
        self._known: dict[str, tuple[str, ...] | None] = {}
        self._aliases: dict[str, int] = {}
        # Most events are texts, of which browsers get the text.
        usual = selection.fields_of("text_chunk") == FIELDS["text_chunk"]
        self._is_short = usual and not selection.ids

    def project(self, event: Event, original: bytes | None = None) -> bytes | None:
        """The event as it is sent; None if it is not.

        Where all of it is sent, that is its *original* data, if it is one line. Pings are not, and neither is an ``error``: what browsers are told of errors is
        not in the server's words.
        """
        if isinstance(event, TextChunk) and self._is_short:
            text = orjson.dumps(event.text)
            return b'{"event":"text_chunk","data":{"text":%b}}' % text
        name = event.name if isinstance(event, UnknownEvent) else event.event_name
        fields = self._fields(name)
        if fields is None or isinstance(event, Error | Ping):
            return None
        is_line = original is not None and len(original.splitlines()) == 1
        if is_line and self._is_whole(event, fields):
            return original
        return _dumps(self._object(event, name, fields))

    def _is_whole(self, event: Event, fields: tuple[str, ...]) -> bool:
        """True if the event is sent as it came."""
        return fields == ALL and self._selection.ids and "event" in event.raw

    def _fields(self, name: str) -> tuple[str, ...] | None:
        if name not in self._known:
            self._known[name] = self._selection.fields_of(name)
        return self._known[name]

    def _object(
        self, event: Event, name: str, fields: tuple[str, ...]
    ) -> dict[str, Any]:
        if self._is_whole(event, fields):
            return dict(event.raw)
        obj: dict[str, Any] = {"event": name}
        if self._selection.ids:
            obj["workflow_run_id"] = event.workflow_run_id
            obj["task_id"] = event.task_id
        sent = _data(event)
        if fields == ALL:
            chosen = {k: v for k, v in sent.items() if k not in _ENVELOPE}
        else:
            chosen = {key: sent.get(key) for key in fields}
            if "metadata" in chosen:
                chosen["metadata"] = lengths(chosen["metadata"])
            if not self._selection.ids:
                chosen = {key: without_ids(value) for key, value in chosen.items()}
        if not self._selection.ids:
            for key in [key for key in chosen if key in IDS]:
                chosen[key] = self._alias(chosen[key])
        return obj | (chosen if event.flat else {"data": chosen})

    def _alias(self, value: object) -> int | None:
        if value is None:
            return None
        return self._aliases.setdefault(str(value), len(self._aliases) + 1)


_ENVELOPE = frozenset({"event", "task_id", "workflow_run_id"})


def _data(event: Event) -> Mapping[str, Any]:
    """The fields of an event as the server sent them; of one made here, its own."""
    # What a run's detail told, for want of the event, has the detail for its raw.
    is_sent = event.flat and "event" in event.raw
    data = event.raw if is_sent else event.raw.get("data")
    return data if is_object(data) else _fields_of(event)


def _fields_of(value: Value) -> Mapping[str, Any]:
    return attrs.asdict(
        cast("attrs.AttrsInstance", value),
        recurse=False,
        filter=lambda field, _: field.name != "raw",
    )


def _dumps(obj: Mapping[str, Any]) -> bytes:
    try:
        return orjson.dumps(obj, _plain, orjson.OPT_PASSTHROUGH_DATETIME)
    except orjson.JSONEncodeError:  # nested too deep
        return orjson.dumps(shallow(obj), _plain, orjson.OPT_PASSTHROUGH_DATETIME)


def _plain(value: Any) -> Any:
    """What JSON has no form for, as Dify writes it."""
    if isinstance(value, datetime):
        return int(value.timestamp())
    if isinstance(value, Value):
        return _fields_of(value)
    return str(value)
