"""The process that the test of killed batches kills: python _killed.py JOURNAL ROWS URL."""

from __future__ import annotations

import asyncio
import sys

from dify_workflow_async import WorkflowClient


async def main(journal: str, count: str, base_url: str, *how: str) -> None:
    """Run the batch, or go on with it."""
    rows = ({"marker": f"row {i}"} for i in range(int(count)))
    client = WorkflowClient("app-batch", base_url, "u")
    async with (
        client,
        client.batch(
            rows,
            concurrency=50,
            key="marker",
            journal=journal,
            rerun_unknown="rerun" in how,
        ) as batch,
    ):
        async for _ in batch:
            pass


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
