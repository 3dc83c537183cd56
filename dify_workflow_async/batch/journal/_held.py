"""What is written of rows that we hold.

Each function takes all that was asked for at once, in one transaction, and gives one
answer for each: None, or the error to be raised where it was asked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs
import sqlalchemy as sa

from ...errors import LeaseLost
from .._values import State
from ._schema import ROWS
from ._turn import Turn


@attrs.frozen
class Change:
    """What to write of one row: which it is, its key, and values for columns."""

    row: bytes
    key: str
    values: Mapping[str, Any] = attrs.field(factory=dict[str, Any])


Answer = LeaseLost | None


def known(turn: Turn, asked: Sequence[Change]) -> list[Answer]:
    """Write the ids of runs; all have the same columns."""
    answers = _answers(turn, asked)
    _write(turn, asked, {"state": State.RUNNING.value})
    return answers


def finish(turn: Turn, asked: Sequence[Change]) -> list[Answer]:
    """Write how rows ended, and end the claims; all have the same columns."""
    answers = _answers(turn, asked)
    _write(turn, asked, {"owner": None, "finished_at": turn.now})
    turn.ended.update(change.row for change in asked)
    return answers


def release(turn: Turn, asked: Sequence[Change]) -> list[Answer]:
    """Give claims back; it is no fault not to have one."""
    before = turn.holder.held
    ours = [
        attrs.evolve(change, values={"before": before[change.row].value})
        for change in asked
        if turn.holds(change.row)
    ]
    as_it_was: sa.Case[str] = sa.case(
        (ROWS.c.state == State.STARTED.value, sa.bindparam("before", type_=sa.Text)),
        else_=ROWS.c.state,
    )
    _write(turn, ours, {"owner": None, "state": as_it_was})
    turn.ended.update(change.row for change in ours)
    return [None] * len(asked)


def _answers(turn: Turn, asked: Sequence[Change]) -> list[Answer]:
    return [
        None if turn.holds(change.row) else LeaseLost(change.key) for change in asked
    ]


def _write(turn: Turn, asked: Sequence[Change], fixed: Mapping[str, Any]) -> None:
    ours = [change for change in asked if turn.holds(change.row)]
    if not ours:
        return
    columns: dict[str, Any] = {
        n: sa.bindparam(n) for n in ours[0].values if n in ROWS.c
    }
    turn.connection.execute(
        # We own what we hold, but for one case: a commit was done, and its answer was
        # lost. When it is repeated, others may be at the row.
        sa.update(ROWS)
        .where(ROWS.c.identity == sa.bindparam("which"), ROWS.c.owner == turn.owner)
        .values({**columns, **fixed}),
        [{"which": change.row, **change.values} for change in ours],
    )
