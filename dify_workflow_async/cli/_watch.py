"""A run, from the sending of its request to its end, or to where it is left."""

from __future__ import annotations

import asyncio
import json
import sys

from pathlib import Path
from typing import Any, Literal

import attrs
import click

from .. import RunStream
from ..errors import DifyError
from ..events import Event, TextChunk, TextReplace
from ..models import RunResult
from ..views import decode_speech
from ._display import Display
from ._show import escaped, put
from ._signals import Interrupts
from ._text import command_line, printable


@attrs.frozen(kw_only=True)
class Wishes:
    """What is wanted of a run while it goes on.

    Attributes:
        events: each of them as a line of JSON, to standard output.
        text: the text as it comes, to standard output.
        timeline: where its timeline is to be saved.
        speech: where its speech is to be saved.
        on_cancel: what becomes of the run on Ctrl-C.
    """

    events: bool = False
    text: bool = False
    timeline: Path | None = None
    speech: Path | None = None
    on_cancel: Literal["stop", "detach"] = "stop"


class Watch:
    """Sees a run through.

    Args:
        run: not yet entered.
        wishes: what else is to be done with its events.
        shown: where to tell of it.
        interrupts: of the first two the run is to be stopped, and left.

    Attributes:
        saved: False if a file that was wanted could not be written.
    """

    def __init__(
        self, run: RunStream, wishes: Wishes, shown: Display, interrupts: Interrupts
    ) -> None:
        self._run = run
        self._wishes = wishes
        self._shown = shown
        self._interrupts = interrupts
        self._task: asyncio.Task[Any] | None = None
        self._stopping: asyncio.Task[None] | None = None
        self.saved = True
        self._original = run.originals() if wishes.events else None
        self._speech = bytearray()
        self._timeline: Any = None
        if wishes.timeline is not None:
            made: Any = run
            self._timeline = made.timeline()

    async def through(self) -> RunResult:
        """Read the run to its end.

        Raises:
            DifyError: as reading the stream does.
            asyncio.CancelledError: it was left.
            OSError: standard output is gone, or what was asked for cannot be written.
        """
        self._task = asyncio.current_task()
        try:
            async with self._shown, self._run as run:
                stops = self._wishes.on_cancel == "stop"
                self._interrupts.answers = [
                    *([self._stop] if stops else []),
                    self._leave,
                ]
                async for event in run:
                    self._take(event)
                result = await run.result()
        finally:
            self._interrupts.answers = []
            if self._stopping is not None:
                self._stopping.cancel()
                await asyncio.wait([self._stopping])
            self._save()
        return result

    # -- events ----------------------------------------------------------------------

    def _take(self, event: Event) -> None:
        self._shown.take(event)
        if self._original is not None:
            click.echo(_line(event, self._original(event)))  # which flushes
        if self._wishes.text:
            if isinstance(event, TextChunk):
                put(event.text, nl=False)
            elif isinstance(event, TextReplace):  # what is written stays written
                put(f"\n{event.text}", nl=False)
        if self._wishes.speech is not None and (piece := decode_speech(event)):
            self._speech += piece

    def _save(self) -> None:
        """Write the files that are wanted, also of a run that went wrong."""
        try:
            if self._timeline is not None:
                self._timeline.save(self._wishes.timeline)
            if self._wishes.speech is not None and self._speech:
                self._wishes.speech.write_bytes(self._speech)
        except (DifyError, OSError) as error:
            self.saved = False
            self._shown.say(f"Error: {printable(str(error))}")

    # -- interrupts ------------------------------------------------------------------

    def _stop(self) -> None:
        """Stop the run on the server, and go on reading: its end is to come."""
        self._shown.say("stopping the run; interrupt once more to leave at once")
        self._stopping = asyncio.create_task(self._ask_to_stop())

    async def _ask_to_stop(self) -> None:
        try:
            await self._run.stop()
        except DifyError as error:
            self._shown.say(f"the run could not be stopped: {printable(str(error))}")
            self._leave()

    def _leave(self) -> None:
        """Wait for nothing any more."""
        self._run.detach()
        run_id = self._run.workflow_run_id
        if run_id is not None:
            command = command_line("attach", run_id)
            self._shown.say(f"left: the run may go on; `{command}`")
        if self._task is not None:
            self._task.cancel()


def _line(event: Event, original: bytes | None) -> bytes:
    """An event as one line of JSON: as the server wrote it, if it wrote it."""
    if original is not None and b"\n" not in original:
        if sys.stdout.isatty():
            return escaped(original.decode("utf-8", "replace")).encode()
        return original
    raw: dict[str, Any] = dict(event.raw)
    if "event" not in raw:  # the run's detail told what nobody heard
        run = {"task_id": event.task_id, "workflow_run_id": event.workflow_run_id}
        raw = {"event": event.event_name, **run, "data": raw}
    return json.dumps(raw).encode()
