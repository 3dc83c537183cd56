"""Exported apps on Dify's own open-source graph engine.

The engine (``graphon``, extra ``engine``) runs in processes of its own, which only the
package ``worker`` knows from within; here are the settings, those processes as the
server sees them, and the facts that they tell made into a server's events.
"""

from ._settings import CodeLimits, Model, OpenAIModel, StubModel, StubReply
from ._workflow import Workflow, is_dsl


__all__ = [
    "CodeLimits",
    "Model",
    "OpenAIModel",
    "StubModel",
    "StubReply",
    "Workflow",
    "is_dsl",
]
