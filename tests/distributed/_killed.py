"""The program that a test of batches over workers kills.

``python _killed.py JOURNAL ROWS URL [CLUSTER]``
"""

from __future__ import annotations

import asyncio
import sys

from functools import partial

from dify_workflow_async import WorkflowClient
from dify_workflow_async.distributed import run_distributed


async def main(
    journal: str, count: str, base_url: str, cluster: str | None = None
) -> None:
    """Run the batch, or go on with it."""
    batch = run_distributed(
        ({"marker": f"row {i}"} for i in range(int(count))),
        client=partial(WorkflowClient, base_url=base_url, user="u"),
        cluster=cluster,
        journal=journal,
        concurrency=50,
        key="marker",
    )
    async with batch:
        async for _ in batch:
            pass


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
