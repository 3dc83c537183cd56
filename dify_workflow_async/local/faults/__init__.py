"""Faults: what networks, proxies and servers do to answers on a bad day.

Give them to a running server for the next requests, or a plan that picks one for
each request:

.. code-block:: python

    server.fail_next(Drop(how="rst", after_events=3), path="*/run")

    async with LocalServer([app], faults=plan) as server: ...

Each fault says in ``starts_run`` whether the request is carried out all the same: a
run started, a stop obeyed. An event of a stream counts when it is sent, pings do not.
"""

from ._answers import Busy, ErrorPage, Redirect, WrongType
from ._base import Fault, How
from ._breaks import BadChunkSize, Cut, Drop, HangUp, Unended
from ._delays import Silence, SlowHeaders, Stall
from ._events import BROKEN_JSON, BROKEN_UTF8, Duplicate, Insert, Omit, Reorder
from ._plan import FaultPlan, Injected
from ._sizes import EndlessBody, EndlessHeaders, EndlessLine, Gzip, GzipBomb
from ._wire import Head, Wire


__all__ = [
    "BROKEN_JSON",
    "BROKEN_UTF8",
    "BadChunkSize",
    "Busy",
    "Cut",
    "Drop",
    "Duplicate",
    "EndlessBody",
    "EndlessHeaders",
    "EndlessLine",
    "ErrorPage",
    "Fault",
    "FaultPlan",
    "Gzip",
    "GzipBomb",
    "HangUp",
    "Head",
    "How",
    "Injected",
    "Insert",
    "Omit",
    "Redirect",
    "Reorder",
    "Silence",
    "SlowHeaders",
    "Stall",
    "Unended",
    "Wire",
    "WrongType",
]
