"""``dify-workflow doctor``: what stands between this machine and the app, and how well.

What is looked at (`_network`, `_session`, `_stream`) is apart from what it means
(`_address`, `_tls`, `_answers`, `_server`, `_pace`), which is pure.
"""

from __future__ import annotations

from ._command import doctor


__all__ = ["doctor"]
