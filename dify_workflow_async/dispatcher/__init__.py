"""Events in, calls of the program's own functions out.

A `Dispatcher` knows no client: it takes events from a run, from a file, or made by hand.
It holds who listens for what. A `Scope` is one dispatching of many events, for one run
as a rule, and owns the handlers that run beside the reading. A `Waiter` is the answer of
`Dispatcher.wait_for()`.
"""

from __future__ import annotations

from ._dispatcher import Dispatcher
from ._scope import Scope
from ._typing import OnError, Registrar
from ._waiting import Waiter


__all__ = ["Dispatcher", "OnError", "Registrar", "Scope", "Waiter"]
