"""Any async callable over rows, with a journal that lets a batch go on where it ended.

`run_batch` knows no client: ``WorkflowClient.batch()`` gives it the client's runs as the
work. `Batch` is what both give, and `BatchItem` what comes out of it.
"""

from __future__ import annotations

from ._batch import Batch, run_batch
from ._options import BatchOptions, OnProgress
from ._tally import Progress, Summary
from ._values import (
    BatchItem,
    Claim,
    Outcome,
    Record,
    Row,
    Started,
    State,
    Totals,
    Verdict,
    Work,
)


__all__ = [
    "Batch",
    "BatchItem",
    "BatchOptions",
    "Claim",
    "OnProgress",
    "Outcome",
    "Progress",
    "Record",
    "Row",
    "Started",
    "State",
    "Summary",
    "Totals",
    "Verdict",
    "Work",
    "run_batch",
]
