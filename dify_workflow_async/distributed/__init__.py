"""A batch over the workers of a Dask cluster, with a client in each.

The rows go through a journal, which all workers share: `run_distributed` puts them in,
the workers take them from there and run them, and what becomes of each is read from
there. So nothing depends on a worker that is lost, and the number of rows that are under
way is bounded.
"""

from __future__ import annotations

from ._batch import DistributedBatch, run_distributed


__all__ = ["DistributedBatch", "run_distributed"]
