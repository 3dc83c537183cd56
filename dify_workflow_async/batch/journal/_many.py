"""One statement for many rows, at the price of the database's own work.

SQLAlchemy looks at each value of each row again, which costs more than all else that a
journal does. So what it compiles is kept, and handed to the driver with plain tuples.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Any

import attrs
import sqlalchemy as sa


class Many:
    """A statement whose bound values differ from row to row."""

    def __init__(self, statement: sa.UpdateBase) -> None:
        self._statement = statement
        self._compiled: dict[str, _Compiled] = {}

    def __call__(
        self, connection: sa.Connection, rows: Sequence[Mapping[str, Any]], **same: Any
    ) -> None:
        """Execute it for each of *rows*; *same* are values that all of them share."""
        if not rows:
            return
        dialect = connection.dialect
        if dialect.name not in self._compiled:
            self._compiled[dialect.name] = _compile(self._statement, dialect)
        compiled = self._compiled[dialect.name]
        same = {**compiled.constants, **same}
        values = [compiled.in_order({**same, **row}) for row in rows]
        connection.exec_driver_sql(compiled.text, values)


@attrs.frozen
class _Compiled:
    text: str
    in_order: Callable[[Mapping[str, Any]], tuple[Any, ...]]
    constants: Mapping[str, Any]


def _compile(statement: sa.UpdateBase, dialect: sa.Dialect) -> _Compiled:
    compiled = statement.compile(dialect=dialect)
    # Both drivers take values by their places; each statement has several.
    names: list[str] = getattr(compiled, "positiontup")  # noqa: B009 - of SQL only
    return _Compiled(str(compiled), itemgetter(*names), compiled.params)


def bound(names: Iterable[str]) -> dict[str, sa.BindParameter[Any]]:
    """Columns that are set to values of the same names."""
    return {name: sa.bindparam(name) for name in names}
