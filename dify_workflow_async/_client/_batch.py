"""A batch whose work is the client's runs; imported when the first one is made."""

from __future__ import annotations

import asyncio
import logging

from typing import Any, Unpack

import attrs

from .._api import Api
from .._call import Defaults, RunOptions, new_run
from .._files import holds_files
from .._protocol import checked_user, result_of_detail
from .._recovery import wait_for_end
from .._run import RunStream
from ..batch import Batch, BatchOptions, Row, Started
from ..batch._options import Options
from ..batch._rows import Rows, digest_of
from ..errors import (
    DifyError,
    RunInterrupted,
    RunNotFound,
    RunStateUnknown,
)
from ..hooks import Retry
from ..models import RunRef, RunResult
from ._base import checked


logger = logging.getLogger("dify_workflow_async")

_BATCH_OPTIONS = frozenset(BatchOptions.__annotations__)


class ClientBatchOptions(BatchOptions, RunOptions, total=False):
    """What a client's batch may be asked for.

    That is what `BatchOptions` has for the batch, and `RunOptions` for each of its runs.
    ``files`` are the same for all rows. Handlers of the ``dispatcher`` may ask for the
    `Row` by a parameter ``row``; of runs that are recovered from a journal they hear
    nothing.

    Attributes:
        output: a class to make of the outputs, as ``item.result.output``; see
            `WorkflowClient.run`.
    """

    output: type[Any] | None


def new_batch(
    api: Api,
    defaults: Defaults,
    rows: Rows,
    **options: Unpack[ClientBatchOptions],
) -> Batch:
    """See ``WorkflowClient.batch()``.

    Raises:
        ConfigurationError: an option is wrong, or there is no user.
    """
    chosen: dict[str, Any] = {**options}
    output = chosen.pop("output", None)
    of_batch = {k: chosen.pop(k) for k in _BATCH_OPTIONS & chosen.keys()}
    settings = Options(**of_batch)
    work = _Work(api, defaults, chosen, output, is_kept=settings.journal is not None)
    batch = Batch(
        work, rows, settings, binding=work.binding(), digest=_digest_with_files
    )
    work.heed(batch)
    return batch


class _Work:
    """One run for each row."""

    def __init__(
        self,
        api: Api,
        defaults: Defaults,
        options: dict[str, Any],
        output: type[Any] | None,
        *,
        is_kept: bool,
    ) -> None:
        self._api = api
        self._defaults = defaults
        self._options = options
        self._output = output
        self._is_kept = is_kept
        self._timeout: float | None = options.get("timeout")
        probe = new_run({}, self._defaults, **options)  # checks the options
        self._user = checked_user(probe.user)
        self._stops = probe.on_cancel == "stop"

    def binding(self) -> dict[str, str]:
        """What a journal of these runs is for."""
        return {
            "base_url": self._api.base_url,
            "workflow_id": self._options.get("workflow_id") or "",
            "user": self._user,
            "key": self._api.api_key.fingerprint,
        }

    def heed(self, batch: Batch) -> None:
        """Let the batch know of requests that are sent again."""
        tell = self._api.on_retry

        def on_retry(retry: Retry) -> None:
            batch.heed(retry.error)
            if tell is not None:
                tell(retry)

        self._api = attrs.evolve(self._api, on_retry=on_retry)

    async def __call__(
        self, row: Row, *, known: RunRef | None, started: Started
    ) -> RunResult[Any]:
        """Run it, or find its run again; see `Work`."""
        if known is not None:
            result = await self._recover(known)
        else:
            call = new_run(
                row.inputs, self._defaults, row=row, result_only=True, **self._options
            )
            run = RunStream(self._api, call)
            if self._is_kept:
                result = await _Told(run, started).result()
            else:
                async with run:
                    result = await run.result()
        return checked(result, check=True, output=self._output)

    async def _recover(self, known: RunRef) -> RunResult[Any]:
        """The result of a run that was started before.

        Raises:
            RunInterrupted: it cannot be read now, or still runs after ``timeout``, else
                after ``Timeouts.recovery``.
            RunStateUnknown: the server does not know it.
        """
        self._api.lifetime.check()
        run_id, task_id = known.workflow_run_id, known.task_id
        timeouts = self._api.timeouts
        timeout = self._timeout or timeouts.total or timeouts.recovery
        try:
            detail = await wait_for_end(self._api, run_id, timeout=timeout)
        except asyncio.CancelledError:
            if self._stops and task_id is not None:
                # Owned by the client, as the stop of a run that is left is.
                self._api.lifetime.leave(self._stop(task_id, known.user or self._user))
            raise
        except RunNotFound as error:
            msg = "the server does not know the run that was started for this row"
            raise RunStateUnknown(msg, run_id=run_id, task_id=task_id) from error
        except DifyError as error:
            msg = f"the run that was started for this row: {error.message}"
            raise RunInterrupted(msg, run_id=run_id, task_id=task_id) from error
        return result_of_detail(detail, known)

    async def _stop(self, task_id: str, user: str) -> None:
        try:
            async with asyncio.timeout(self._api.timeouts.stop):
                await self._api.stop(task_id, user=user)
        except (DifyError, TimeoutError) as error:
            logger.warning("a run that was found again was not stopped: %s", error)


class _Told:
    """A run that tells its id while it is read on."""

    def __init__(self, run: RunStream, started: Started) -> None:
        self._run = run
        self._started = started
        self._soon: asyncio.Handle | None = None
        self._telling: asyncio.Future[None] | None = None
        run.on_id(self._learn)

    def _learn(self) -> None:
        ref = self._run.ref
        if ref is not None and self._soon is None:
            self._soon = asyncio.get_running_loop().call_soon(self._tell, ref)

    def _tell(self, ref: RunRef) -> None:
        self._telling = asyncio.ensure_future(self._started(ref))

    async def result(self) -> RunResult[Any]:
        """Read it to its end.

        Raises:
            LeaseLost: somebody else has the row; the run was one too many.
            DifyError: as for `RunStream`.
        """
        try:
            async with self._run:
                return await self._run.result()
        finally:
            if self._telling is not None:
                await self._telling
            elif self._soon is not None:
                self._soon.cancel()  # its end is told at once, and tells the id, too


async def _digest_with_files(inputs: Any) -> str:
    """The digest of a row's inputs, files by their names and contents.

    Raises:
        InvalidInputs: they cannot be sent, or hold what can be read only once.
    """
    if holds_files(inputs, None):
        from .._files._digests import with_digests

        inputs = await with_digests(inputs)
    return await digest_of(inputs)
