"""Events of texts, agents and speech."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar

import attrs

from ._base import Event, versioned


@attrs.frozen(kw_only=True, repr=False, eq=False)
class TextChunk(Event):
    """A piece of the answer's text, from whichever node feeds the End node.

    Attributes:
        from_variable_selector: node id and variable that the text comes from.
    """

    event_name: ClassVar[str] = "text_chunk"
    since: ClassVar[str] = "0.6.0"

    text: str = ""
    from_variable_selector: tuple[str, ...] = versioned((), since="0.8.2")


@attrs.frozen(kw_only=True, repr=False, eq=False)
class TextReplace(Event):
    """All text so far is to be replaced."""

    event_name: ClassVar[str] = "text_replace"
    since: ClassVar[str] = "0.6.0"
    gone: ClassVar[str] = "0.8.0"

    text: str = ""


@attrs.frozen(kw_only=True, repr=False, eq=False)
class ReasoningChunk(Event):
    """A piece of a model's reasoning, if its node keeps that apart from the text.

    Attributes:
        reasoning: the piece; may be empty.
        is_final: True for the last piece of a node.
        message_id: None in workflow apps.
    """

    event_name: ClassVar[str] = "reasoning_chunk"
    since: ClassVar[str] = "1.15.0"

    reasoning: str = ""
    node_id: str | None = None
    is_final: bool | None = None
    message_id: str | None = None


@attrs.frozen(kw_only=True, repr=False, eq=False)
class AgentLog(Event):
    """A step of an agent; sent again with the same ``id`` when the step ends.

    Attributes:
        label: what the step is.
        node_execution_id: of the agent's node.
        parent_id: of the step around this one.
        status: ``start``, ``success`` or ``error``.
    """

    event_name: ClassVar[str] = "agent_log"
    since: ClassVar[str] = "1.0.0"

    id: str | None = None
    label: str | None = None
    node_execution_id: str | None = None
    node_id: str | None = None
    parent_id: str | None = None
    error: str | None = None
    status: str | None = None
    data: Mapping[str, Any] | None = None
    metadata: Mapping[str, Any] | None = None


@attrs.frozen(kw_only=True, init=False, repr=False, eq=False)
class _Speech(Event):
    """What events of speech have in common.

    Attributes:
        audio: a piece of an MP3, as base64.
        message_id: documented, but only chat apps send it.
        conversation_id: likewise.
        created_at: likewise.
    """

    flat: ClassVar[bool] = True

    audio: str = ""
    message_id: str | None = None
    conversation_id: str | None = None
    created_at: datetime | None = None


@attrs.frozen(kw_only=True, repr=False, eq=False)
class TtsMessage(_Speech):
    """A piece of speech; it may come after `WorkflowFinished` (servers before 1.13)."""

    event_name: ClassVar[str] = "tts_message"
    since: ClassVar[str] = "0.6.14"


@attrs.frozen(kw_only=True, repr=False, eq=False)
class TtsMessageEnd(_Speech):
    """The speech is complete; ``audio`` is empty."""

    event_name: ClassVar[str] = "tts_message_end"
    since: ClassVar[str] = "0.6.14"
