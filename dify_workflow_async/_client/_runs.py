"""The verbs that run a workflow."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING, Any, TypeVar, Unpack, overload

from .._call import BlockingOptions, Inputs, RunOptions, new_opening, new_run
from .._run import RunStream
from ..events import Event
from ..models import RunRef, RunResult
from ._base import Base, checked


if TYPE_CHECKING:
    from ..batch import Batch
    from ..batch._rows import Rows
    from ._batch import ClientBatchOptions

T = TypeVar("T")


class RunVerbs(Base):
    """Runs."""

    @overload
    async def run(
        self,
        inputs: Inputs | None = None,
        *,
        check: bool = True,
        output: None = None,
        **options: Unpack[RunOptions],
    ) -> RunResult: ...

    @overload
    async def run(
        self,
        inputs: Inputs | None = None,
        *,
        check: bool = True,
        output: type[T],
        **options: Unpack[RunOptions],
    ) -> RunResult[T]: ...

    async def run(
        self,
        inputs: Inputs | None = None,
        *,
        check: bool = True,
        output: type[Any] | None = None,
        **options: Unpack[RunOptions],
    ) -> RunResult[Any]:
        """Run the workflow and wait for its result (specification, section 1.3).

        Streams underneath, so that no gateway cuts a long run. The run is started at
        most once. Cancelling the call stops the run, as ``on_cancel`` says.

        Args:
            inputs: by the names of the Start node's variables; texts, numbers,
                booleans, lists and mappings, and files as `dify_workflow_async.files`
                has them. Datetimes go as ISO 8601 text.
            check: False returns the result of a run that did not succeed, too.
            output: a class to make of the outputs (attrs, dataclass, TypedDict:
                whatever cattrs knows), as ``result.output``.
            **options: see `RunOptions`.

        Returns:
            The result, with its outputs.

        Raises:
            InvalidInputs: the inputs cannot be sent; nothing was.
            APIError: the server refused, or an ``error`` event ended the run.
            RunFailed, RunStopped, RunPaused: the run ended so, and *check* is true.
            OutputsMismatch: it succeeded, and its outputs make no *output*.
            RunInterrupted: the stream broke; the run may still be going.
            RunStateUnknown: no answer came; whether a run began is not known.
            TotalTimeout: it took longer than ``timeout``.
        """
        call = new_run(inputs or {}, self._defaults, result_only=True, **options)
        async with RunStream(self._api, call) as run:
            result = await run.result()
        return checked(result, check=check, output=output)

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
        call = new_run(inputs or {}, self._defaults, **options)
        return RunStream(self._api, call)

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

    async def start(
        self, inputs: Inputs | None = None, **options: Unpack[RunOptions]
    ) -> RunRef:
        """Start the workflow and let it go (specification, section 1.3).

        Cancelling the call before it returns stops the run, as ``on_cancel`` says.

        Args:
            inputs: as for `run`.
            **options: see `RunOptions`; a dispatcher hears the first event only.

        Returns:
            What is needed to `wait` for the run, `attach` to it, or `stop` it, from
            this process or another: it pickles.

        Raises:
            DifyError: as for `run`, as far as the run's first events tell.
        """
        async with self.stream(inputs, **options) as run:
            ref = await run.begun()
            await anext(run)  # for the dispatcher
            run.detach()
        return ref

    async def run_blocking(
        self,
        inputs: Inputs | None = None,
        *,
        check: bool = True,
        **options: Unpack[BlockingOptions],
    ) -> RunResult:
        """Run the workflow in blocking mode (specification, section 1.3).

        Gateways cut it after 60 to 100 s, and a cancelled call cannot stop its run,
        whose id is not known: `run` has neither fault.

        Args:
            inputs: as for `run`.
            check: as for `run`.
            **options: see `BlockingOptions`.

        Raises:
            GatewayError: a gateway gave up waiting; the run may go on behind it.
            DifyError: as for `run`.
        """
        self._api.lifetime.check()
        opening = new_opening(inputs or {}, self._defaults, "blocking", **options)
        return checked(await opening.block(self._api), check=check)

    def batch(self, rows: Rows, **options: Unpack[ClientBatchOptions]) -> Batch:
        """Run the workflow for each of many rows, so many at once.

        .. code-block:: python

            async with client.batch(rows, concurrency=50, journal="runs.db") as batch:
                async for item in batch:
                    print(item.key, item.state, item.result, item.error)

        Nothing is sent before ``async with``. Leaving early stops the runs that are
        under way, as ``on_cancel`` says.

        Args:
            rows: mappings of inputs, from any iterable or async iterable, which is
                read as there is room: it may be endless. Files among them are
                uploaded, as for `run`.
            **options: see `ClientBatchOptions`.

        Returns:
            A `Batch`: an async context manager and iterator of `BatchItem`. The
            ``result`` of an item is what `run` returns, its ``error`` what that
            raises; a run that failed has both.

        Raises:
            ConfigurationError: an option is wrong, or there is no user.
        """
        from ._batch import new_batch

        return new_batch(self._api, self._defaults, rows, **options)
