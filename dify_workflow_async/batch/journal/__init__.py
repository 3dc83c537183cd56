"""The journal of a batch: what became of each row, in a database.

.. code-block:: python

    async with Journal.open("runs.db") as journal:
        await journal.bind({"base_url": "https://dify.example/v1"})
        for claim in await journal.offer(rows):
            if claim.verdict is Verdict.RUN:
                ...  # start the run
                await journal.known(row, ref)
                ...  # wait for its end
                await journal.finish(record)

Every write is durable before the call returns. Writes that are asked for at the same
time share one transaction.
"""

from __future__ import annotations

from ...errors import ConfigurationError


try:
    from ._journal import Journal
except ModuleNotFoundError as error:
    if error.name != "sqlalchemy":
        raise
    msg = "a journal needs SQLAlchemy: pip install 'dify-workflow-async[batch]'"
    raise ConfigurationError(msg) from None

__all__ = ["Journal"]
