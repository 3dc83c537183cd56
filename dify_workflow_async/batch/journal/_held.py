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
from ._many import Many, bound
from ._schema import ROWS
from ._turn import Turn


@attrs.frozen
class Change:
    """What to write of one row: which it is, its key, and values for columns."""

    row: bytes
    key: str
    values: Mapping[str, Any] = attrs.field(factory=dict[str, Any])


Answer = LeaseLost | None


_OURS = (
    sa.update(ROWS)
    .where(ROWS.c.identity == sa.bindparam("which"))
    # We own what we hold, but for one case: a commit was done, and its answer was lost.
    # When it is repeated, others may be at the row.
    .where(ROWS.c.owner == sa.bindparam("us", type_=sa.BigInteger))
)
_REF = ("run_id", "task_id", "run_user")
_END = (
    *("state", *_REF, "status", "outputs", "error_type", "error", "elapsed_time"),
    *("total_tokens", "total_price", "currency"),
)
_KNOWN = Many(_OURS.values({"state": State.RUNNING.value, **bound(_REF)}))
_FINISH = Many(_OURS.values({"owner": None, **bound((*_END, "finished_at"))}))
_RELEASE = Many(
    _OURS.values(
        owner=None,
        # Nobody shall take again at once what was left running; who offers it finds it.
        batch=sa.case((ROWS.c.state == State.RUNNING.value, None), else_=ROWS.c.batch),
        state=sa.case(
            (
                ROWS.c.state == State.STARTED.value,
                sa.bindparam("before", type_=sa.Text),
            ),
            else_=ROWS.c.state,
        ),
    )
)


def known(turn: Turn, asked: Sequence[Change]) -> list[Answer]:
    """Write the ids of runs."""
    _KNOWN(turn.connection, _ours(turn, asked), us=turn.owner)
    return _answers(turn, asked)


def finish(turn: Turn, asked: Sequence[Change]) -> list[Answer]:
    """Write how rows ended, and end the claims."""
    ours = _ours(turn, asked)
    _FINISH(turn.connection, ours, us=turn.owner, finished_at=turn.now)
    answers = _answers(turn, asked)
    turn.ended.update(change.row for change in asked)
    return answers


def release(turn: Turn, asked: Sequence[Change]) -> list[Answer]:
    """Give claims back; it is no fault not to have one."""
    before = turn.holder.held
    ours = [
        {"which": change.row, "before": before[change.row].value}
        for change in asked
        if turn.holds(change.row)
    ]
    _RELEASE(turn.connection, ours, us=turn.owner)
    turn.ended.update(change.row for change in asked)
    return [None] * len(asked)


def _ours(turn: Turn, asked: Sequence[Change]) -> list[dict[str, Any]]:
    return [
        {"which": change.row, **change.values}
        for change in asked
        if turn.holds(change.row)
    ]


def _answers(turn: Turn, asked: Sequence[Change]) -> list[Answer]:
    return [
        None if turn.holds(change.row) else LeaseLost(change.key) for change in asked
    ]
