"""How rows come in: offered to be run, or put in for others, who take them.

Each function takes all that was asked for at once, in one transaction, and gives one
answer for each.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import attrs
import sqlalchemy as sa

from .._values import Claim, Record, Row, State, Verdict
from ._claiming import AGAIN, Claiming
from ._many import Many, bound
from ._records import UNDER_WAY, columns_of_row, identity, record_of, row_of
from ._schema import OWNERS, ROWS
from ._turn import Turn, insert_new


@attrs.frozen(kw_only=True, eq=False)
class Offer:
    """Rows, and the states whose rows are to be run again although they ended."""

    rows: Sequence[Row]
    rerun: frozenset[State]


@attrs.frozen(kw_only=True)
class Addition:
    """Rows to put in for those who take from a batch.

    Attributes:
        inputs: of the rows, as JSON.
    """

    rows: Sequence[Row]
    inputs: Sequence[str]
    batch: str
    rerun: frozenset[State]


@attrs.frozen(kw_only=True)
class Demand:
    """How many rows of a batch somebody asks for."""

    batch: str
    limit: int
    rerun: frozenset[State]


_PUT_IN = Many(
    sa.update(ROWS)
    .where(ROWS.c.identity == sa.bindparam("which"))
    .values(bound(("state", "batch", "number", "inputs")))
)


def offer(turn: Turn, asked: Sequence[Offer]) -> list[list[Claim]]:
    """Claim what is to be run, and tell how the rest stands."""
    ids = [[identity(row) for row in each.rows] for each in asked]
    rows = {
        which: (row, each.rerun)
        for each, those in zip(asked, ids, strict=True)
        for row, which in zip(each.rows, those, strict=True)
    }
    first = {
        "state": State.STARTED.value,
        "owner": turn.become_owner(),
        "attempts": 1,
        "started_at": turn.now,
    }
    new = _insert(
        turn, {x: columns_of_row(row) | first for x, (row, _) in rows.items()}
    )
    turn.gained.update(dict.fromkeys(new, State.PENDING))
    claims = {which: _first_claim(turn, rows[which][0]) for which in new}
    if len(new) < len(rows):
        claiming = Claiming(turn)
        for found in claiming.lock(rows.keys() - new):
            claims[found.identity] = claiming.claim(found, *rows[found.identity])
        claiming.write()
    told: set[bytes] = set()
    return [[_told(claims[which], which, told) for which in those] for those in ids]


def _first_claim(turn: Turn, row: Row) -> Claim:
    record = Record(
        key=row.key,
        digest=row.digest,
        state=State.STARTED,
        attempts=1,
        started_at=datetime.fromtimestamp(turn.now, UTC),
    )
    return Claim(verdict=Verdict.RUN, record=record, row=row)


def _told(claim: Claim, which: bytes, told: set[bytes]) -> Claim:
    """A claim; who asks for the same row a second time is told that it is held."""
    if which in told:
        return attrs.evolve(claim, verdict=Verdict.HELD)
    told.add(which)
    return claim


def add(turn: Turn, asked: Sequence[Addition]) -> list[list[Record]]:
    """Put rows in for others; in again, if they are to be run again."""
    rows = {
        identity(row): (each.rerun, _columns_of_addition(each, row, inputs))
        for each in asked
        for row, inputs in zip(each.rows, each.inputs, strict=True)
    }
    new = _insert(
        turn, {which: columns | {"attempts": 0} for which, (_, columns) in rows.items()}
    )
    records = {
        identity(row): Record(key=row.key, digest=row.digest, state=State.PENDING)
        for each in asked
        for row in each.rows
    }
    waiting: list[dict[str, Any]] = []
    for found in Claiming(turn).lock(rows.keys() - new):
        rerun, columns = rows[found.identity]
        record = record_of(found)
        if record.state not in AGAIN | rerun:
            records[found.identity] = record
        if record.state in AGAIN | rerun | UNDER_WAY:
            state = records[found.identity].state.value
            waiting.append({**columns, "which": found.identity, "state": state})
    _PUT_IN(turn.connection, waiting)
    return [[records[identity(row)] for row in each.rows] for each in asked]


def _columns_of_addition(addition: Addition, row: Row, inputs: str) -> dict[str, Any]:
    return {
        **columns_of_row(row),
        "state": State.PENDING.value,
        "batch": addition.batch,
        "inputs": inputs,
    }


def take(turn: Turn, asked: Sequence[Demand]) -> list[list[Claim]]:
    """Claim rows that were put in, first those whose owner is gone."""
    turn.become_owner()
    turn.strike()
    return [_take(turn, demand) for demand in asked]


def _take(turn: Turn, demand: Demand) -> list[Claim]:
    claiming = Claiming(turn)
    living = sa.select(OWNERS.c.id)
    abandoned = ROWS.c.state.in_([state.value for state in UNDER_WAY]) & (
        ROWS.c.owner.is_(None) | ROWS.c.owner.not_in(living)
    )
    claims: list[Claim] = []
    for which in (abandoned, ROWS.c.state == State.PENDING.value):
        statement = (
            sa.select(ROWS)
            .where(ROWS.c.batch == demand.batch, which)
            .order_by(ROWS.c.id)
            .limit(demand.limit - len(claims))
            .with_for_update(skip_locked=True)
        )
        for found in claiming.locked(statement):
            claim = claiming.claim(found, row_of(found), demand.rerun)
            if claim.verdict in {Verdict.RUN, Verdict.RECOVER}:
                claims.append(claim)
    claiming.write()
    return claims


def _insert(turn: Turn, rows: Mapping[bytes, Mapping[str, Any]]) -> set[bytes]:
    """Put in what is not in yet, and tell which that was."""
    statement = insert_new(turn.connection, ROWS).returning(ROWS.c.identity)
    values = [{"identity": which, **columns} for which, columns in rows.items()]
    return set(turn.connection.scalars(statement, values))
