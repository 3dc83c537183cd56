"""Group commit: what is asked for at the same time shares one transaction.

While one transaction is under way, the questions of all others gather; the next one
takes them all. The busier a batch is, the more rows share the cost of a commit.
"""

from __future__ import annotations

import asyncio
import time

from collections.abc import Callable, Sequence
from copy import copy
from functools import partial
from math import inf
from typing import Any, TypeVar

import attrs
import sqlalchemy as sa

from ..._log import logger
from ...errors import JournalUnavailable
from . import _held, _incoming, _shared
from ._database import Database
from ._turn import Holder, Turn


T = TypeVar("T")
P = TypeVar("P")

Handler = Callable[[Turn, Sequence[P]], Sequence[T | Exception]]


def alone(turn: Turn, asked: Sequence[Callable[[sa.Connection], T]]) -> list[T]:
    """Do what has no way of being done together."""
    return [work(turn.connection) for work in asked]


def beat(turn: Turn, asked: Sequence[None]) -> list[None]:
    """Show that we live."""
    turn.beat()
    return [None] * len(asked)


def leave(turn: Turn, asked: Sequence[None]) -> list[None]:
    """Give everything back."""
    turn.leave()
    return [None] * len(asked)


# The order in which a transaction does them: what frees rows comes before what claims.
_ORDER: tuple[Handler[Any, Any], ...] = (
    beat,
    _shared.wish,
    _held.known,
    _held.finish,
    _held.release,
    _incoming.add,
    _shared.withdraw,
    _incoming.offer,
    _incoming.take,
    alone,
    leave,
)

# Rows in one transaction, so that it is over soon: others wait for SQLite's one lock.
# Each row of a question takes a variable, of which both databases allow 32,766.
_MOST_ROWS = 2000


@attrs.frozen(eq=False)
class _Question:
    handler: Handler[Any, Any]
    asked: Any
    rows: int
    writes: bool
    answer: asyncio.Future[Any]


class Writer:
    """Does all transactions of one journal, one after another, in a task of its own.

    Args:
        database: where; the writer closes its connection in the end.
        lease: seconds.
    """

    def __init__(self, database: Database, *, lease: float) -> None:
        self._database = database
        self._holder = Holder(lease=lease)
        self._waiting: list[_Question] = []
        self._something = asyncio.Event()
        self._closing = False
        self._sure_until = -inf
        self._task = asyncio.create_task(self._run(), name="journal-writer")

    @property
    def is_sure(self) -> bool:
        """True while nobody can have taken what we hold."""
        return _clock() < self._sure_until

    @property
    def token(self) -> str:
        """By which we know ourselves, and others us."""
        return self._holder.token

    def ask(
        self,
        handler: Handler[P, T],
        asked: P,
        *,
        rows: int = 1,
        writes: bool = True,
    ) -> asyncio.Future[T]:
        """Have *handler* do what is asked in the next transaction.

        Raises:
            JournalUnavailable: the journal is closed.
        """
        if self._closing:
            msg = "the journal is closed"
            raise JournalUnavailable(msg)
        answer: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        question = _Question(handler, asked, rows, writes, answer)
        self._waiting.append(question)
        self._something.set()
        return answer

    async def aclose(self) -> None:
        """Answer what is waiting, give everything back, and end."""
        if not self._closing:
            left = self.ask(leave, None)
            self._closing = True
            await asyncio.wait([left])  # if that fails, the lease will run out
        await asyncio.wait([self._task])

    async def _run(self) -> None:
        try:
            while self._waiting or not self._closing:
                await self._something.wait()
                self._something.clear()
                while group := self._next_group():
                    await self._answer(group)
        finally:
            self._closing = True
            await self._database.disconnect()
            for question in self._waiting:
                question.answer.cancel()

    def _next_group(self) -> list[_Question]:
        rows = end = 0
        while end < len(self._waiting) and (not end or rows < _MOST_ROWS):
            rows += self._waiting[end].rows
            end += 1
        group, self._waiting = self._waiting[:end], self._waiting[end:]
        return group

    async def _answer(self, group: list[_Question]) -> None:
        try:
            answers = await self._transaction(group)
        except asyncio.CancelledError:  # the loop ends
            for question in group:
                question.answer.cancel()
            raise
        except Exception as error:  # noqa: BLE001 - each is raised where it was asked
            if len(group) > 1 and not isinstance(error, JournalUnavailable):
                for question in group:  # one is to blame, and the others go on
                    await self._answer([question])
                return
            # Each asker gets one of its own: it will hold the asker's traceback.
            answers = {question: copy(error) for question in group}
        for question, answer in answers.items():
            if question.answer.done():  # who asked was cancelled
                continue
            if isinstance(answer, Exception):
                question.answer.set_exception(answer)
                question.answer.exception()  # nobody may be left who asks for it
            else:
                question.answer.set_result(answer)

    async def _transaction(self, group: list[_Question]) -> dict[_Question, Any]:
        began = _clock()
        writes = any(question.writes for question in group)
        turn, answers = await self._database.transaction(
            partial(_answers, group, self._holder, writes=writes),
            writes=writes,
            patient=any(question.handler is not leave for question in group),
        )
        if writes:
            if lost := turn.lost - turn.ended:
                logger.warning(
                    "the journal lost its claims on %d rows",
                    len(lost),
                    extra={"rows": len(lost)},
                )
            self._holder.commit(turn)
            if turn.has_beaten:
                self._sure_until = began + self._holder.lease
        return answers


def _answers(
    group: list[_Question], holder: Holder, connection: sa.Connection, *, writes: bool
) -> tuple[Turn, dict[_Question, Any]]:
    turn = (Turn.begin if writes else Turn.reading)(connection, holder)
    answers: dict[_Question, Any] = {}
    for handler in _ORDER:
        questions = [question for question in group if question.handler is handler]
        if questions:
            done = handler(turn, [question.asked for question in questions])
            answers.update(zip(questions, done, strict=True))
    return turn, answers


def _clock() -> float:
    """Seconds, those of a sleeping machine too where it can tell them."""
    clock: int | None = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if clock is None else time.clock_gettime(clock)
