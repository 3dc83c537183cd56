"""Which rows that are in the journal already may be claimed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import attrs
import sqlalchemy as sa

from .._values import Claim, Record, Row, State, Verdict
from ._many import Many, bound
from ._records import record_of
from ._schema import ROWS
from ._turn import Turn


AGAIN = frozenset({State.PENDING, State.REFUSED})
"""States in which nothing was run: such rows are run whenever they come in."""

_LOST_SIGHT = "who started it is gone, and nobody knows a run that came of it"
_NO_RUN = dict.fromkeys(
    (
        *("run_id", "task_id", "run_user", "status", "outputs", "elapsed_time"),
        *("total_tokens", "total_price", "currency"),
    )
)

_ONE = sa.update(ROWS).where(ROWS.c.identity == sa.bindparam("which"))
_HOLD = Many(
    _ONE.values(
        owner=sa.bindparam("us"),
        attempts=ROWS.c.attempts + 1,
        **bound(("state", "started_at")),
    )
)
_LOSE_SIGHT = Many(
    _ONE.values(
        owner=None,
        state=State.UNKNOWN.value,
        error_type="RunStateUnknown",
        error=_LOST_SIGHT,
        **_NO_RUN,
        **bound(("finished_at",)),
    )
)


class Claiming:
    """Judges rows one by one, and then writes all claims at once."""

    def __init__(self, turn: Turn) -> None:
        self._turn = turn
        self._live: set[int] = set()
        self._claimed: list[dict[str, Any]] = []
        self._unknown: list[dict[str, Any]] = []

    def lock(self, which: Iterable[bytes]) -> Sequence[Any]:
        """The rows of the table, which nobody else changes before our commit."""
        # All lock in one order, so that nobody waits for one who waits for them.
        return self.locked(
            sa.select(ROWS)
            .where(ROWS.c.identity.in_(list(which)))
            .order_by(ROWS.c.identity)
            .with_for_update()
        )

    def locked(self, statement: sa.Select[Any]) -> Sequence[Any]:
        """The rows that a statement selects and locks."""
        found = self._turn.connection.execute(statement).all()
        # Owners are looked up after the rows were locked: who is missing then has lost
        # them, since it enters the table before it claims.
        self._live |= self._turn.live({row.owner for row in found} - {None})
        return found

    def claim(self, found: Any, row: Row, rerun: frozenset[State]) -> Claim:
        """What to do with a row that is locked; it is claimed if there is any work."""
        record = record_of(found)
        state = self._standing(found, record.state)
        verdict = _verdict(state, rerun)
        if state is not None and verdict in {Verdict.RUN, Verdict.RECOVER}:
            record = self._hold(found, record, state, verdict)
        elif state is not None and state is not record.state:
            record = self._lose_sight(found, record)
        return Claim(verdict=verdict, record=record, row=row)

    def _standing(self, found: Any, state: State) -> State | None:
        """How a row stands, if nobody holds it."""
        turn = self._turn
        if found.owner is None:
            return state
        if found.owner == turn.owner:
            if turn.holds(found.identity) or found.identity in turn.gained:
                return None
            # Claimed by ourselves, in a commit that was done and whose answer was lost:
            # nothing was started.
            return State.PENDING if state is State.STARTED else state
        if found.owner in self._live:
            return None
        return State.UNKNOWN if state is State.STARTED else state

    def _hold(
        self, found: Any, record: Record, before: State, verdict: Verdict
    ) -> Record:
        state = State.STARTED if verdict is Verdict.RUN else before
        self._turn.gained[found.identity] = before
        self._claimed.append({"which": found.identity, "state": state.value})
        if verdict is Verdict.RUN:
            record = Record(
                key=record.key,
                digest=record.digest,
                state=state,
                attempts=record.attempts,
            )
        return attrs.evolve(
            record,
            attempts=record.attempts + 1,
            started_at=datetime.fromtimestamp(self._turn.now, UTC),
        )

    def _lose_sight(self, found: Any, record: Record) -> Record:
        self._unknown.append({"which": found.identity})
        return Record(
            key=record.key,
            digest=record.digest,
            state=State.UNKNOWN,
            attempts=record.attempts,
            started_at=record.started_at,
            finished_at=datetime.fromtimestamp(self._turn.now, UTC),
            error_type="RunStateUnknown",
            error=_LOST_SIGHT,
        )

    def write(self) -> None:
        """Write what was decided."""
        turn = self._turn
        _HOLD(turn.connection, self._claimed, us=turn.owner, started_at=turn.now)
        _LOSE_SIGHT(turn.connection, self._unknown, finished_at=turn.now)


def _verdict(state: State | None, rerun: frozenset[State]) -> Verdict:
    match state:
        case None:
            return Verdict.HELD
        case State.RUNNING:
            return Verdict.RECOVER
        case _ if state in AGAIN or state in rerun:
            return Verdict.RUN
        case State.UNKNOWN:
            return Verdict.UNKNOWN
        case _:
            return Verdict.DONE
