"""The verbs that run a workflow, and follow its runs."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Unpack

from .. import _protocol
from .._call import Files, Inputs, RunOptions, with_total
from .._run import RunStream
from ..events import Event
from ..models import RunDetail, RunResult
from ._base import Base


class RunVerbs(Base):
    """Runs."""

    async def run(
        self,
        inputs: Inputs | None = None,
        *,
        check: bool = True,
        **options: Unpack[RunOptions],
    ) -> RunResult:
        """Run the workflow and wait for its result (specification, section 1.3).

        Streams underneath, so that no gateway cuts a long run. The run is started at
        most once. Cancelling the call stops the run, as ``on_cancel`` says.

        Args:
            inputs: by the names of the Start node's variables; texts, numbers,
                booleans, lists and mappings. Datetimes go as ISO 8601 text.
            check: False returns the result of a run that did not succeed, too.
            **options: see `RunOptions`.

        Returns:
            The result, with its outputs.

        Raises:
            InvalidInputs: the inputs cannot be sent; nothing was.
            APIError: the server refused, or an ``error`` event ended the run.
            RunFailed, RunStopped, RunPaused: the run ended so, and *check* is true.
            RunInterrupted: the stream broke; the run may still be going.
            RunStateUnknown: no answer came; whether a run began is not known.
            TotalTimeout: it took longer than ``timeout``.
        """
        async with self.stream(inputs, **options) as run:
            result = await run.result()
        if check:
            result.raise_for_status()
        return result

    def stream(
        self, inputs: Inputs | None = None, **options: Unpack[RunOptions]
    ) -> RunStream:
        """Run the workflow and stream its events (specification, section 3).

        Nothing is sent before ``async with``.

        Args:
            inputs: as for `run`.
            **options: see `RunOptions`.

        Returns:
            An async context manager and async iterator.

        Raises:
            InvalidInputs: the inputs cannot be sent.
            ConfigurationError: there is no user.
        """
        return RunStream(self._api, self._call(inputs, options))

    async def events(
        self, inputs: Inputs | None = None, **options: Unpack[RunOptions]
    ) -> AsyncGenerator[Event]:
        """Run the workflow and yield its events, when that is all one wants.

        A loop that is left by ``break`` stops the run a little later, when Python
        closes the generator, and only while the client is open: `stream`, or
        `contextlib.aclosing`, does so at once.

        Args:
            inputs: as for `run`.
            **options: see `RunOptions`.

        Yields:
            Typed events, pings left out.

        Raises:
            DifyError: as for `stream` and `RunStream`.
        """
        async with self.stream(inputs, **options) as run:
            async for event in run:
                yield event

    async def run_blocking(
        self,
        inputs: Inputs | None = None,
        *,
        user: str | None = None,
        files: Files | None = None,
        workflow_id: str | None = None,
        check: bool = True,
        timeout: float | None = None,
        trace_id: str | None = None,
    ) -> RunResult:
        """Run the workflow in blocking mode (specification, section 1.3).

        Gateways cut it after 60 to 100 s, and a cancelled call cannot stop its run,
        whose id is not known: `run` has neither fault. The arguments are those of
        `run`.

        Raises:
            GatewayError: a gateway gave up waiting; the run may go on behind it.
            DifyError: as for `run`.
        """
        self._api.lifetime.check()
        request = _protocol.run_request(
            inputs or {},
            user=user or self._user,
            response_mode="blocking",
            files=files,
            workflow_id=workflow_id,
            trace_id=trace_id,
        )
        result = await self._api.run_blocking(
            request, with_total(self._api.timeouts, timeout)
        )
        if check:
            result.raise_for_status()
        return result

    async def get_run(self, run_id: str) -> RunDetail:
        """Read a run of this app, under way or ended (specification, section 1.5).

        Args:
            run_id: the ``workflow_run_id``.

        Raises:
            RunNotFound: the app has no such run; right after a start the server may
                not have written it yet.
        """
        self._api.lifetime.check()
        return await self._api.get_run(run_id)

    async def stop(self, task_id: str, *, user: str | None = None) -> None:
        """Ask the server to stop a run (specification, section 1.6).

        The server says success for any id, and stops runs of other users and apps,
        too: give it none but your own. `RunStream.stop` needs no ids.

        Args:
            task_id: not the run id; every event has it.
            user: who started the run; servers up to 1.8 ignore others.
        """
        self._api.lifetime.check()
        await self._api.stop(task_id, user=user or self._user)
