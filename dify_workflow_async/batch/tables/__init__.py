"""Tables in and out: rows of CSV, JSON lines, Parquet and Excel as inputs, and results.

`read_table` gives rows for a batch, and `Results` takes the items of one::

    table = read_table("questions.csv", form=await client.parameters())
    with Results("answers.xlsx") as results:
        async with client.batch(table, journal="runs.db") as batch:
            async for item in batch:
                results.add(item)

Parquet and Excel need the extra ``tables``.
"""

from __future__ import annotations

from ._results import Results, Written
from ._table import Checked, Table, TableRow, read_table


__all__ = ["Checked", "Results", "Table", "TableRow", "Written", "read_table"]
