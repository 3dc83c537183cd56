"""What of a run is shown to people: its text, its nodes, its speech, its events."""

from __future__ import annotations

import asyncio
import weakref

from abc import abstractmethod
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Callable,
    Iterable,
    Mapping,
)
from contextlib import aclosing
from functools import partial
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from ._stream_life import StreamLife
from .errors import UsageError
from .events import Event, TextChunk, TextReplace


if TYPE_CHECKING:  # imported late: most runs are not shown to anybody
    from ._aside import Aside
    from .relay import Tell
    from .timeline import Timeline
    from .views import Nodes, Pace, Usage

T = TypeVar("T")


class StreamViews(StreamLife):
    """What a `RunStream` can be seen as."""

    _nodes: Nodes | None = None
    _timeline: Timeline | None = None
    _aside: tuple[Aside, weakref.ref[AsyncGenerator[object]]] | None = None

    @abstractmethod
    def __aiter__(self) -> AsyncIterator[Event]:
        """Yield the events."""

    # -- nodes and costs -------------------------------------------------------------

    @property
    def nodes(self) -> Nodes:
        """The state of each execution of a node, by its id, kept up to date.

        Ask for it before the run is read: what passes unasked is not kept, so that
        it costs nothing then.

        Raises:
            UsageError: it was not asked for before events were read.
        """
        if self._nodes is None:
            self._check_unread("run.nodes and run.usage")
            from .views import Nodes

            self._nodes = Nodes()
            self._pump.watch(self._nodes.add, self._nodes.heeds)
        return self._nodes

    def _check_unread(self, what: str) -> None:
        if self._pump.was_read:
            msg = f"ask for {what} before the run is read"
            raise UsageError(msg)

    @property
    def usage(self) -> Usage:
        """Tokens and prices so far, made of `nodes`; ask for it before the run is read.

        Raises:
            UsageError: neither was asked for before events were read.
        """
        return self.nodes.usage

    def timeline(self) -> Timeline:
        """Where the time and the tokens go, as a picture that grows with the run.

        Ask for it before the run is read, as for `nodes`. It can be drawn at any time,
        with the extra ``timeline``::

            timeline = run.timeline()
            result = await run.result()
            await asyncio.to_thread(timeline.save, "run.html")

        Raises:
            UsageError: it was not asked for before events were read.
        """
        if self._timeline is None:
            self._check_unread("run.timeline()")
            from .timeline import Timeline

            self._timeline = Timeline()
            self._pump.watch(self._timeline.add, self._timeline.heeds)
        return self._timeline

    # -- text ------------------------------------------------------------------------

    @property
    def text_stream(self) -> AsyncGenerator[str]:
        """The text, piece by piece, as an async iterator.

        Servers before 0.8 may replace what they sent: then only what the new text adds
        to the old comes, and `text` or `snapshots` have the whole.
        """
        return self._texts()

    async def _texts(self) -> AsyncGenerator[str]:
        seen = self._events.text
        async for event in self:
            match event:
                case TextChunk(text=text):
                    piece = text
                case TextReplace(text=text):
                    piece = text[len(seen) :] if text.startswith(seen) else ""
                case _:
                    continue
            if piece:
                yield piece
            seen = self._events.text

    def snapshots(self, every: float = 1.0) -> AsyncGenerator[str]:
        """The whole text, again and again while it grows; for messages that are edited.

        The first comes with the first text, the last when there is no more; in between
        the run is read on, whatever the loop does meanwhile, and many pieces make one
        snapshot. A text that did not change does not come again.

        Args:
            every: seconds between two of them, at least.

        Yields:
            `text`, as it is then.

        Raises:
            StreamBusy: another task reads the stream.
            DifyError: as iterating the stream does, after the last text.
            ConfigurationError: *every* is negative.
        """
        from ._aside import Aside
        from .views import Pace

        aside = Aside(self._read_texts)
        return self._consumed(aside, self._snapshots(aside, Pace(every)))

    async def _snapshots(self, aside: Aside, pace: Pace) -> AsyncGenerator[str]:
        clock = asyncio.get_running_loop().time
        async with aside:
            is_last = False
            while not is_last:
                await aside.news()
                await asyncio.sleep(pace.wait(clock()))
                is_last = aside.over
                text = self._events.text
                if pace.show(text, clock()):
                    yield text
            aside.check()

    async def _read_texts(self, aside: Aside) -> None:
        async for event in self:
            if isinstance(event, TextChunk | TextReplace):
                aside.tell()

    # -- speech ----------------------------------------------------------------------

    async def audio(self) -> AsyncGenerator[bytes]:
        """The speech, as pieces of an MP3.

        Yields:
            Bytes as they come, to the end of the run, or of the speech that servers
            before 1.13 send after it. Nothing, if the app does not speak.

        Raises:
            UnexpectedAnswer: the speech cannot be decoded.
            StreamBusy: another task reads the stream.
            DifyError: as iterating the stream does.
        """
        from .views import decode_speech

        async for event in self:
            if piece := decode_speech(event):
                yield piece

    async def save_audio(self, path: str | PathLike[str]) -> Path | None:
        """Read to the run's end, and write its speech to a file.

        The file takes its place when it is complete: a failure leaves none.

        Args:
            path: the file, or a directory, in which it is called ``speech.mp3``. One
                that is there is replaced.

        Returns:
            Where it is; None if there was no speech, and no file was made.

        Raises:
            OSError: it cannot be written there.
            UnexpectedAnswer: the speech cannot be decoded.
            DifyError: as iterating the stream does.
        """
        from ._download._saving import Saving

        saving = Saving(path)
        in_thread = partial(asyncio.get_running_loop().run_in_executor, None)
        is_open = False
        try:
            async with aclosing(self.audio()) as pieces:
                async for piece in pieces:
                    if not is_open:
                        await in_thread(saving.open)
                        is_open = True
                    await in_thread(saving.write, piece)
            return await in_thread(saving.finish, "speech.mp3") if is_open else None
        finally:
            await asyncio.shield(in_thread(saving.abandon))

    # -- for a browser ---------------------------------------------------------------

    def relay(
        self,
        *,
        include: Iterable[str] | None = None,
        exclude: Iterable[str] = (),
        fields: Mapping[str, Iterable[str]] | None = None,
        ids: bool = False,
        ping: float = 10.0,
        tell: Tell | None = None,
    ) -> AsyncGenerator[bytes]:
        """The events as server-sent events for one browser; no key, and no inside.

        The run is read as the browser takes it. What goes wrong is the last event, an
        ``error`` with a sentence for people. To come back after a broken connection,
        and for several browsers, there is `RelayHub <relay.RelayHub>`.

        Args:
            include: as for `Selection <relay.Selection>`.
            exclude: likewise.
            fields: likewise.
            ids: likewise.
            ping: seconds of silence before a comment is sent, so that proxies wait.
            tell: makes the sentence of an error; else `sentence_of <relay.sentence_of>`.

        Yields:
            Frames, numbered from 1; several in one piece if they came so.

        Raises:
            StreamBusy: another task reads the stream.
            ConfigurationError: a setting that cannot be meant.
            Exception: what your own handlers raise, after the ``error``.
        """
        from ._outbox import Outbox
        from .relay import Frames, Selection, sentence_of

        selection = Selection(
            include=include, exclude=exclude, fields=fields or {}, ids=ids
        )
        original = self.originals() if selection.sends_originals else None
        outbox = Outbox(self, Frames(selection, tell or sentence_of), original)
        return self._consumed(outbox.aside, outbox.take(ping))

    def originals(self) -> Callable[[Event], bytes | None]:
        """Keep, from now on, the data of the event that came last, as it came.

        Decoding and encoding an event is not without loss: a long integer comes as a
        ``float``, and a number or a letter may be written in more than one way.

        Returns:
            A function that gives the JSON of an event as the server wrote it; None for
            any but the last one, and for one that did not come from the stream, or
            while the run's ids were looked for.
        """
        if self._events.originals is None:
            from ._originals import Originals

            self._events.originals = Originals()
        return self._events.originals.of

    # -- who reads aside -------------------------------------------------------------

    def _consumed(
        self, aside: Aside, generator: AsyncGenerator[T]
    ) -> AsyncGenerator[T]:
        """Remember who consumes what is read aside."""
        self._aside = aside, weakref.ref(generator)
        return generator

    async def _settled(self) -> None:
        """Wait until a reading aside has ended whose consumer is gone.

        A loop over `snapshots` or `relay` that is left by ``break`` is closed a moment
        later, by the event loop.
        """
        if self._aside is None:
            return
        aside, consumer = self._aside
        if consumer() is None:
            await aside.ended()
            self._aside = None
