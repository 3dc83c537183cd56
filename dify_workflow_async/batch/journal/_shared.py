"""What those who put rows in, and those who take them, tell each other."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from .._values import Record, Row, State, Wish
from ._records import identity, record_of
from ._schema import OWNERS, ROWS
from ._turn import Turn


_UNDER_WAY = [s.value for s in (State.PENDING, State.STARTED, State.RUNNING)]


def wish(turn: Turn, asked: Sequence[Wish]) -> list[None]:
    """Say what is to become of the batch that is ours; the last word counts."""
    turn.wish = asked[-1]
    turn.connection.execute(
        sa.update(OWNERS)
        .where(OWNERS.c.id == turn.become_owner())
        .values(wish=turn.wish.value)
    )
    return [None] * len(asked)


def withdraw(turn: Turn, asked: Sequence[str]) -> list[None]:
    """Let nobody take what was not begun yet."""
    turn.connection.execute(
        sa.update(ROWS)
        .where(ROWS.c.batch.in_(asked), ROWS.c.state == State.PENDING.value)
        .values(batch=None)
    )
    return [None] * len(asked)


def wished(connection: sa.Connection, batch: str) -> Wish | None:
    """What is to become of a batch; None: whose it was is gone."""
    found = connection.execute(
        sa.select(OWNERS.c.wish).where(OWNERS.c.token == batch)
    ).first()
    return None if found is None else Wish(found.wish or Wish.GO.value)


def over(connection: sa.Connection, rows: Sequence[Row]) -> list[Record | None]:
    """Rows that ended, or that nobody works at and nobody takes."""
    wanted = [identity(row) for row in rows]
    left = ROWS.c.batch.is_(None) & ROWS.c.owner.is_(None)
    found = connection.execute(
        sa.select(ROWS).where(
            ROWS.c.identity.in_(wanted), ROWS.c.state.not_in(_UNDER_WAY) | left
        )
    )
    records = {row.identity: record_of(row) for row in found}
    return [records.get(which) for which in wanted]
