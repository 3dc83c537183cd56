"""Where the time and the tokens of a run, or of a batch, went: as a picture.

.. code-block:: python

    async with client.stream({"query": "hi"}) as run:
        timeline = run.timeline()
        result = await run.result()
    await asyncio.to_thread(timeline.save, "run.html")

A `Timeline` is a run's, a `BatchTimeline` is made of the journal of a batch.
Drawing needs the extra ``timeline``; what they tell can be had without it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from ._bars import Bar
from ._picture import Picture, check_path
from ._timeline import Timeline


if TYPE_CHECKING:
    from ._batch import BatchTimeline, Slice

__all__ = ["Bar", "BatchTimeline", "Picture", "Slice", "Timeline", "check_path"]


def __getattr__(name: str) -> object:
    """Look up what needs batches, which the picture of a run does not."""
    if name in {"BatchTimeline", "Slice"}:
        return getattr(import_module("._batch", __name__), name)
    msg = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(msg)
