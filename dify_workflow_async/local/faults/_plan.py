"""Which answer is spoiled, and how."""

from collections import deque
from collections.abc import Callable
from fnmatch import fnmatchcase
from typing import Final, TypeAlias

import attrs

from .._received import ReceivedRequest
from ._base import Fault


FaultPlan: TypeAlias = Callable[[ReceivedRequest], Fault | None]
"""Which fault a request meets, or None; called once for each request."""

MAX_KEPT: Final = 10_000


@attrs.frozen
class Injected:
    """A fault that an answer got.

    Args:
        request: What was answered.
        fault: How the answer was spoiled.
    """

    request: ReceivedRequest
    fault: Fault


@attrs.define
class _Order:
    fault: Fault
    path: str | None
    method: str | None
    times: int | None

    def fits(self, request: ReceivedRequest) -> bool:
        return (self.method is None or self.method == request.method) and (
            self.path is None or fnmatchcase(request.path, self.path)
        )


class Injector:
    """Picks the fault of each request.

    Args:
        plan: Asked for requests that no order is for.

    Attributes:
        injected: What was picked, the oldest first.
    """

    def __init__(self, plan: FaultPlan | None) -> None:
        self.plan = plan
        self.injected: deque[Injected] = deque(maxlen=MAX_KEPT)
        self._orders: list[_Order] = []

    def order(
        self, fault: Fault, path: str | None, method: str | None, times: int | None
    ) -> None:
        """Spoil the next answers that fit."""
        if times is None or times > 0:
            self._orders.append(_Order(fault, path, method, times))

    def clear(self) -> None:
        """Forget all orders, and the plan."""
        self._orders.clear()
        self.plan = None

    def pick(self, request: ReceivedRequest) -> Fault | None:
        """Pick the fault of a request: a copy for it alone."""
        fault = self._ordered(request)
        if fault is None and self.plan is not None:
            fault = self.plan(request)
        if fault is None:
            return None
        self.injected.append(Injected(request, fault))
        return attrs.evolve(fault)  # its state begins anew

    def _ordered(self, request: ReceivedRequest) -> Fault | None:
        order = next((one for one in self._orders if one.fits(request)), None)
        if order is None:
            return None
        if order.times is not None:
            order.times -= 1
            if order.times == 0:
                self._orders.remove(order)
        return order.fault
