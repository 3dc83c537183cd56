"""What can be seen of a run while it goes on, made from its events alone.

`RunStream` has all of this: ``run.nodes``, ``run.usage``, ``run.snapshots()`` and
``run.audio()``. The classes here know no client: they take events from anyone, such as
a handler, a relay, or a log that is read again.

.. code-block:: python

    nodes = Nodes()
    for event in events:
        nodes.add(event)
    print(nodes.usage.total_tokens)
"""

from __future__ import annotations

from ._node import NodeState, Usage
from ._nodes import Nodes
from ._pace import Pace
from ._speech import decode_speech


__all__ = ["NodeState", "Nodes", "Pace", "Usage", "decode_speech"]
