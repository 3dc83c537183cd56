"""Speech: what the events carry as base64, as the bytes of an MP3."""

from __future__ import annotations

import binascii

from ..errors import UnexpectedAnswer
from ..events import Event, TtsMessage


def decode_speech(event: Event) -> bytes:
    """The piece of an MP3 that an event brings; empty if it brings none.

    Raises:
        UnexpectedAnswer: its ``audio`` is not base64.
    """
    if not isinstance(event, TtsMessage):
        return b""
    try:
        return binascii.a2b_base64(event.audio.encode("ascii"), strict_mode=True)
    except (binascii.Error, UnicodeEncodeError) as error:
        msg = f"the speech of an event is not base64: {error}"
        raise UnexpectedAnswer(
            msg, run_id=event.workflow_run_id, task_id=event.task_id
        ) from None
