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

from ._bars import Bar
from ._batch import BatchTimeline, Slice
from ._picture import Picture, check_path
from ._timeline import Timeline


__all__ = ["Bar", "BatchTimeline", "Picture", "Slice", "Timeline", "check_path"]
