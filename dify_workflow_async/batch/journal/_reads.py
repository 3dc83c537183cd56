"""What is read, and written, without claiming anything: each in one transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import attrs
import sqlalchemy as sa

from ...errors import JournalMismatch
from .._values import Record, Row, State, Totals
from ._records import identity, moment, record_of
from ._schema import BINDING, ROWS
from ._turn import insert_new


def bind(connection: sa.Connection, wanted: Mapping[str, str]) -> None:
    """Keep what a journal is for, or compare it.

    Raises:
        JournalMismatch: it is for something else.
    """
    there = binding(connection)
    if not there:
        rows = [{"name": name, "value": value} for name, value in wanted.items()]
        connection.execute(insert_new(connection, BINDING), rows)
        there = binding(connection)  # another may have been faster
    differences = {
        name: (there.get(name), value)
        for name, value in wanted.items()
        if there.get(name) != value
    }
    if differences:
        raise JournalMismatch(differences)


def binding(connection: sa.Connection) -> dict[str, str]:
    """What a journal is for."""
    found = connection.execute(sa.select(BINDING).order_by(BINDING.c.name))
    return {row.name: row.value for row in found}


def look(connection: sa.Connection, rows: Sequence[Row]) -> list[Record | None]:
    """How each of *rows* stands."""
    wanted = [identity(row) for row in rows]
    found = connection.execute(sa.select(ROWS).where(ROWS.c.identity.in_(wanted)))
    records = {row.identity: record_of(row) for row in found}
    return [records.get(which) for which in wanted]


@attrs.frozen
class Page:
    """Some of the records.

    Attributes:
        last: where the next page begins: after this row; None if this is the last.
    """

    records: Sequence[Record]
    last: int | None


PAGE = 500
"""Records that are read at once: outputs may have megabytes each."""


_LONG = {"inputs", "outputs"}


def page(
    connection: sa.Connection,
    after: int,
    states: frozenset[State],
    *,
    outputs: bool = True,
) -> Page:
    """The records that come after a row, those in *states* if there are any."""
    short = (column for column in ROWS.c if column.name not in _LONG)
    long = ROWS.c.outputs if outputs else sa.null().label("outputs")
    statement = sa.select(*short, long).where(ROWS.c.id > after)
    statement = statement.order_by(ROWS.c.id).limit(PAGE)
    if states:
        statement = statement.where(ROWS.c.state.in_([s.value for s in states]))
    found = connection.execute(statement).all()
    last = found[-1].id if len(found) == PAGE else None
    return Page([record_of(row) for row in found], last)


def counts(connection: sa.Connection) -> dict[State, int]:
    """How many rows stand where."""
    number = sa.func.count().label("number")
    found = connection.execute(
        sa.select(ROWS.c.state, number).group_by(ROWS.c.state).order_by(ROWS.c.state)
    )
    return {State(row.state): row.number for row in found}


def totals(connection: sa.Connection) -> Totals:
    """What all rows together took and cost."""
    number = sa.func.count().label("number")
    prices: dict[str, Decimal] = {}
    for row in connection.execute(
        # SQLite has no decimals; most rows of a batch have one of few prices.
        sa.select(ROWS.c.currency, ROWS.c.total_price, number)
        .where(ROWS.c.total_price.is_not(None))
        .group_by(ROWS.c.currency, ROWS.c.total_price)
    ):
        currency = row.currency or ""
        price = Decimal(row.total_price) * row.number
        prices[currency] = prices.get(currency, Decimal(0)) + price
    whole: Any = connection.execute(
        sa.select(
            sa.func.coalesce(sa.func.sum(ROWS.c.total_tokens), 0).label("tokens"),
            sa.func.min(ROWS.c.started_at).label("started_at"),
            sa.func.max(ROWS.c.finished_at).label("finished_at"),
        )
    ).one()
    return Totals(
        counts=counts(connection),
        tokens=int(whole.tokens),
        prices=prices,
        started_at=moment(whole.started_at),
        finished_at=moment(whole.finished_at),
    )
