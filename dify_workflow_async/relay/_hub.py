"""`RelayHub`: runs that several browsers watch, and come back to."""

from __future__ import annotations

import asyncio
import secrets

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, Self, Unpack

from .._log import about, logger
from ..errors import ClientClosed, ConfigurationError, DifyError
from ._frames import Frames
from ._relayed import Relayed, View
from ._ring import Ring
from ._selection import Selection
from ._sentences import Tell, sentence_of
from ._shelf import Shelf
from ._streams import Client, Entering, Stream, originals_of


if TYPE_CHECKING:
    from .._call import RunOptions

Unwatched = Literal["stop", "finish"]
"""Whether a run that nobody watches is stopped, or runs to its end."""


class RelayHub:
    """Relays runs to browsers: several for one run, and such as come late or back.

    Each run is read by a task of its own, and its frames are kept, so that no viewer
    slows another, or the run. Use it in ``async with``, inside the client's, or call
    `aclose`. It belongs to one process: a browser must come back to the same one.

    Args:
        client: starts the runs, most likely a `WorkflowClient`.
        selection: which events and fields are sent.
        unwatched: what becomes of a run that nobody watches for *grace* seconds.
        grace: seconds; browsers come back within some 3 s.
        keep: seconds that an ended run can still be viewed.
        ping: seconds of silence before a comment is sent.
        max_bytes: of frames that are kept for each run; more than a viewer may be
            behind. A long answer has less than 1 MB, speech has more.
        max_ended: how many ended runs are kept; the oldest goes first.
        tell: makes the sentences that browsers get of errors.

    Raises:
        ConfigurationError: a setting that cannot be meant.
    """

    def __init__(
        self,
        client: Client,
        *,
        selection: Selection | None = None,
        unwatched: Unwatched = "finish",
        grace: float = 15.0,
        keep: float = 300.0,
        ping: float = 10.0,
        max_bytes: int = 4 * 1024 * 1024,
        max_ended: int = 1000,
        tell: Tell = sentence_of,
    ) -> None:
        if unwatched not in {"stop", "finish"}:
            msg = f"unwatched is 'stop' or 'finish', not {unwatched!r}"
            raise ConfigurationError(msg)
        for name, value in (("ping", ping), ("max_bytes", max_bytes)):
            if not value > 0:
                msg = f"{name} must be more than 0, not {value!r}"
                raise ConfigurationError(msg)
        self._client = client
        self._selection = selection or Selection()
        self._unwatched = unwatched
        self._grace = grace
        self._ping = ping
        self._max_bytes = max_bytes
        self._tell = tell
        self._shelf = Shelf(keep, max_ended)
        self._pumps: set[asyncio.Task[None]] = set()
        self._closed = False

    # -- runs ------------------------------------------------------------------------

    async def start(
        self, inputs: Mapping[str, Any] | None = None, **options: Unpack[RunOptions]
    ) -> str:
        """Start a run and relay it.

        Args:
            inputs: as for `WorkflowClient.run`.
            **options: as for `WorkflowClient.stream`.

        Returns:
            What `view` and `stop` know it by: a random text, none of the server's ids,
            that may be shown to whoever may watch the run.

        Raises:
            ClientClosed: the hub is being closed.
            DifyError: the run was refused, as for `WorkflowClient.stream`. What goes
                wrong later is told to the viewers.
        """
        self._check()
        return await self.relay(self._client.stream(inputs, **options))

    async def relay(self, stream: Entering) -> str:
        """Enter a stream and relay it, for instance one of `WorkflowClient.attach`.

        Args:
            stream: one that was not entered yet.

        Returns:
            As `start`.

        Raises:
            ClientClosed: the hub is being closed.
            DifyError: entering it failed.
        """
        self._check()
        loop = asyncio.get_running_loop()
        entered: asyncio.Future[None] = loop.create_future()
        run_id = secrets.token_urlsafe(16)
        pump = loop.create_task(self._pump(run_id, stream, entered))
        self._pumps.add(pump)
        pump.add_done_callback(self._pumps.discard)
        # One that is cancelled may not have begun.
        pump.add_done_callback(lambda _: _settle(entered, _closed()))
        try:
            await entered
        except asyncio.CancelledError:
            pump.cancel()  # nobody will ever know its id
            raise
        return run_id

    def view(self, run_id: str, last_event_id: str | None = None) -> View:
        """What a viewer gets of a run: all of it, or what came after an event.

        Args:
            run_id: what `start` gave.
            last_event_id: the header ``Last-Event-ID`` with which a browser comes back;
                one that is no number of ours gets everything.

        Raises:
            NotRelayed: there is no such run, or not any more.
        """
        digits = last_event_id or ""
        is_ours = digits.isascii() and digits.isdigit() and len(digits) < 16
        return View(self._shelf.find(run_id), int(digits) if is_ours else 0, self._ping)

    async def stop(self, run_id: str) -> None:
        """Ask the server to stop a run; the viewers see how it ends.

        Raises:
            NotRelayed: there is no such run, or not any more.
            DifyError: as for `RunStream.stop`.
        """
        relayed = self._shelf.find(run_id)
        if not relayed.over:
            await relayed.run.stop()

    def _check(self) -> None:
        if self._closed:
            raise _closed()

    # -- pumping ---------------------------------------------------------------------

    async def _pump(
        self, run_id: str, stream: Entering, entered: asyncio.Future[None]
    ) -> None:
        """Read a run to its end, and have its frames for the viewers."""
        frames = Frames(self._selection, self._tell)
        relayed: Relayed | None = None
        try:
            async with stream as run:
                relayed = self._begin(run_id, run)
                original = originals_of(run, self._selection)
                _settle(entered, None)
                async for event in run:
                    if data := frames.of_event(event, original(event)):
                        relayed.put(data)
        except asyncio.CancelledError:
            if relayed is not None:
                relayed.put(frames.of_error(_closed()))
            raise
        except Exception as error:  # noqa: BLE001 - told to whoever waits for it
            if relayed is None:
                _settle(entered, error)
            else:
                relayed.put(frames.of_error(error))
                _log(error)
        finally:
            if relayed is not None:
                relayed.end()
                self._shelf.end(run_id)

    def _begin(self, run_id: str, run: Stream) -> Relayed:
        """Have the run for viewers."""
        stops = self._unwatched == "stop"
        relayed = Relayed(
            run, Ring(self._max_bytes), self._watch_for_viewers if stops else None
        )
        self._shelf.put(run_id, relayed)
        if stops:
            self._watch_for_viewers(relayed)
        return relayed

    # -- nobody watches --------------------------------------------------------------

    def _watch_for_viewers(self, relayed: Relayed) -> None:
        """Stop a run if nobody comes to watch it."""
        if relayed.over or relayed.views or self._closed:
            return
        loop = asyncio.get_running_loop()
        relayed.stop_timer()
        relayed.timer = loop.call_later(self._grace, self._give_up, relayed)

    def _give_up(self, relayed: Relayed) -> None:
        relayed.timer = None
        task = asyncio.get_running_loop().create_task(_stop(relayed))
        self._pumps.add(task)
        task.add_done_callback(self._pumps.discard)

    # -- life ------------------------------------------------------------------------

    async def aclose(self, drain: float = 0.0) -> None:
        """Start no more runs, let those under way end, and leave the rest.

        Their viewers get an ``error`` event; whether the server stops the runs, too, is
        said by the client's ``on_cancel``. Closing twice is harmless.

        Args:
            drain: seconds to wait for runs to end by themselves.
        """
        self._closed = True
        if self._pumps and drain > 0:
            await asyncio.wait(self._pumps, timeout=drain)
        pumps = tuple(self._pumps)
        for pump in pumps:
            pump.cancel()
        if pumps:
            await asyncio.wait(pumps)
        self._shelf.close()

    async def __aenter__(self) -> Self:
        """Give the hub itself."""
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()


def _closed() -> ClientClosed:
    return ClientClosed("the hub is closed")


def _settle(entered: asyncio.Future[None], error: Exception | None) -> None:
    """Tell who started a run how that went, unless nobody waits any more."""
    if entered.done():
        return
    if error is None:
        entered.set_result(None)
    else:
        entered.set_exception(error)


def _log(error: Exception) -> None:
    """Note what viewers were told a sentence of."""
    if isinstance(error, DifyError):
        logger.warning("a relayed run broke: %s", error, extra=about(error))
    else:
        logger.error("a relayed run broke", exc_info=error)


async def _stop(relayed: Relayed) -> None:
    """Stop a run that nobody watches."""
    try:
        await relayed.run.stop()
    except DifyError as error:
        logger.warning(
            "a run that nobody watches was not stopped: %s", error, extra=about(error)
        )
