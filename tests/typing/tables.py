"""Types of tables, as a checker sees them; never run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import assert_type

from dify_workflow_async import WorkflowClient
from dify_workflow_async.batch.tables import (
    Checked,
    Results,
    Table,
    TableRow,
    Written,
    read_table,
)


async def from_table_to_table(client: WorkflowClient) -> None:
    table = read_table("in.csv", mapping={"a": "b"}, form=await client.parameters())
    assert_type(table, Table)
    assert_type(table.columns, tuple[str, ...] | None)
    assert_type(iter(table), Iterator[TableRow])
    assert_type(table.check(), Checked)
    async for row in table:
        assert_type(row, TableRow)
    with Results(Path("out.csv"), replace=True) as results:
        async with client.batch(table, total=table.check().rows) as batch:
            async for item in batch:
                results.add(item)
        assert_type(results.columns, tuple[str, ...])
        assert_type(results.finish(), Written)
