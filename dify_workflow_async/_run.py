"""`RunStream`: one run, from the sending of its request to its result."""

from __future__ import annotations

import asyncio

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import aclosing
from typing import Any

import attrs

from ._log import about, logger
from ._opening import Submitted
from ._recovery import GRACE, wait_for_end
from ._seen import StreamViews
from ._stream_life import closed, left_early
from .errors import (
    CannotStop,
    RunNotFound,
    RunStateUnknown,
    TotalTimeout,
    UsageError,
)
from .events import Event, HumanInputRequired, WorkflowPaused
from .models import PauseReason, RunRef, RunResult


class RunStream(StreamViews):
    """The stream of one run: an async context manager and an async iterator.

    Nothing is sent before ``async with``. Iterating yields typed events as they come
    and ends by itself at ``workflow_finished``, ``workflow_paused`` or ``error``,
    whether or not the server closes; an ``error`` event is yielded, and then raised.
    Leaving early stops the run, or lets it go on, as ``on_cancel`` says.

    Made by `WorkflowClient.stream`, not directly. One task consumes it: another one
    beside it gets `StreamBusy`.
    """

    # -- what is known of the run ----------------------------------------------------

    @property
    def task_id(self) -> str | None:
        """By which the run is stopped; None until the first event."""
        return self._events.task_id

    @property
    def workflow_run_id(self) -> str | None:
        """By which the run is read; None until the first event that has it."""
        return self._events.workflow_run_id

    @property
    def ref(self) -> RunRef | None:
        """What is needed to find the run again; None until its id is known."""
        user = self._call.user
        return RunRef.of(self.workflow_run_id, task_id=self.task_id, user=user)

    @property
    def text(self) -> str:
        """All text so far, as the ``text_chunk`` events brought it."""
        return self._events.text

    @property
    def status(self) -> str | None:
        """``running`` once the first event came, then how the run ended."""
        if self._events.outcome is not None:
            return self._events.result(stopped=self._stop_asked).status
        return "running" if self._events.events_seen else None

    def __repr__(self) -> str:
        return f"<RunStream run={self.workflow_run_id} status={self.status}>"

    # -- reading ---------------------------------------------------------------------

    def __aiter__(self) -> AsyncIterator[Event]:
        """Yield the events as they come; after ``break``, a second loop goes on."""
        return self._pump.iterate()

    async def __anext__(self) -> Event:
        """The next event.

        Raises:
            StopAsyncIteration: there is none.
        """
        async with aclosing(self._pump.iterate()) as events:
            async for event in events:
                return event
        raise StopAsyncIteration

    def on_id(self, tell: Callable[[], None]) -> None:
        """Have *tell* called when one of the run's ids becomes known; see `ref`.

        It is for who cannot wait for `begun`, which reads ahead. One may ask.
        """
        self._events.on_id = tell

    async def begun(self) -> RunRef:
        """Wait until the run's ids are known; no event is lost to who iterates.

        Returns:
            What is needed to find the run again.

        Raises:
            APIError: an ``error`` event came instead.
            RunStateUnknown: the stream broke before.
        """
        reader = self._pump.reader
        await reader.read_to_ids()
        if self.ref is None:
            await self.result()  # which raises
            msg = "the run ended without telling its id"
            raise RunStateUnknown(msg, task_id=self.task_id)
        return self.ref

    async def result(self) -> RunResult:
        """Read on to the run's end, dispatching, and tell what it produced.

        Returns:
            The result, whatever its status; see `RunResult.raise_for_status`. Outputs
            that the events had cut are read from the run detail.

        Raises:
            APIError: an ``error`` event ended the stream; ``.result`` has what came
                before it.
            RunInterrupted: the stream broke.
        """
        pump = self._pump
        await self._settled()
        await pump.drain()
        if pump.scope is not None:
            await pump.scope.drain()
        if pump.reader.failure is not None:
            raise pump.reader.failure
        result = self._events.result(
            stopped=self._stop_asked,
            user=self._call.user,
            recovered=self._mender.recovered,
        )
        if self._events.truncated and self.workflow_run_id is not None:
            result = await self._completed(result, self.workflow_run_id)
        return result

    async def _completed(self, result: RunResult, run_id: str) -> RunResult:
        """The result with its outputs whole, which the events had cut."""
        try:
            detail = await wait_for_end(self._api, run_id, timeout=GRACE)
        except (TotalTimeout, RunNotFound) as error:
            logger.warning(
                "the outputs of run %s stay cut: %s", run_id, error, extra=about(error)
            )
            return result
        return attrs.evolve(result, outputs=detail.outputs)

    # -- stopping --------------------------------------------------------------------

    async def stop(self) -> None:
        """Ask the server to stop the run; `result` then tells how it ended.

        A run that ended before is left as it is, and so is one that waits for a person:
        servers stop none of these. If the task id is not known yet,
        this waits for the first event that has it.

        Raises:
            CannotStop: the stream ended without a task id.
            DifyError: the request failed.
        """
        reader = self._pump.reader
        if self._events.outcome is not None:
            return
        task_id = await reader.read_to_task_id()
        if task_id is None:
            msg = "no event told the run's task id: it cannot be stopped"
            raise CannotStop(msg, run_id=self.workflow_run_id)
        self._stop_asked = True
        try:
            await self._api.stop(task_id, user=self._call.user)
        except BaseException:
            self._stop_asked = False  # leaving may try again
            raise

    def detach(self) -> None:
        """Let the run go on when this stream is left; see `WorkflowClient.attach`."""
        self._on_cancel = "detach"

    # -- going on after a pause ------------------------------------------------------

    async def resume(
        self,
        form: HumanInputRequired | PauseReason | str | None = None,
        *,
        action: str,
        inputs: Mapping[str, Any] | None = None,
    ) -> None:
        """Answer the form that the paused run waits for; then read on.

        The run's stream is opened anew before the form is sent, so that no event is
        missed (specification, sections 1.7 and 1.8): iterate again, or ask for the
        `result`. Servers from 1.14.

        When this call is cancelled while the form is under way, its answer is waited
        for by whoever reads or answers next: the stream goes on if the server took
        it. If the stream was left by then, the run is stopped, as *on_cancel* says.

        Args:
            form: which one, if several wait: an item of ``result.reasons``, the event
                `HumanInputRequired`, or a form token.
            action: the ``id`` of one of the form's actions.
            inputs: the form's values by ``output_variable_name``; all of them.

        Raises:
            UsageError: the run does not wait, or no such form is known.
            FormSubmitted, FormExpired: it is too late. `WorkflowClient.attach` follows
                a run whose form somebody else answered.
            InvalidInputs: the values cannot be sent.
            APIError: the server refused; the run goes on waiting, and after
                `InvalidFormData` the form may be answered again.
        """
        if self._entered:
            await self._pump.reader.settled()
        if not isinstance(self._events.outcome, WorkflowPaused):
            msg = "the run is not paused"
            raise UsageError(msg)
        if self.left:
            raise left_early()
        user = self._call.user
        opening = Submitted.of(
            RunRef(workflow_run_id=self.workflow_run_id or "", user=user),
            self._call.timeouts,
            form_token=self._form_token(form),
            action=action,
            inputs=inputs or {},
        )
        lifetime = self._api.lifetime
        lifetime.check()
        going_on = lifetime.own(self._go_on(opening))
        self._pump.reader.going_on = going_on
        try:
            await asyncio.shield(going_on)
        except asyncio.CancelledError:
            lifetime.give_up(going_on)
            if going_on.cancelled():  # by aclose(), not the caller
                raise closed() from None
            raise

    async def _go_on(self, opening: Submitted) -> None:
        """Read the stream that the answered form brings, whoever asked for it."""
        answer = await opening.open(self._api, opening.request)
        self._events.go_on()
        self._pump.reader.go_on(answer, opening.request)
        if self.left:  # meanwhile
            await self._abandon(None)

    def _form_token(self, form: HumanInputRequired | PauseReason | str | None) -> str:
        if isinstance(form, str):
            return form
        if form is not None:
            waiting = [form.form_token]
        else:
            tokens = [form.form_token for form in self._events.forms]
            tokens += [reason.form_token for reason in self._events.result().reasons]
            waiting = list(dict.fromkeys(token for token in tokens if token))
        if len(waiting) != 1 or not waiting[0]:
            msg = f"{len(waiting)} forms can be answered here: name one"
            raise UsageError(msg)
        return waiting[0]
