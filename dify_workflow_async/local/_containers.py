"""Iterations and loops: the same steps again and again."""

import time

from collections import ChainMap
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any, Literal, TypeAlias

from . import _wire_nodes as nodes
from ._errors import NodeFailed
from ._ids import seconds_since
from ._json import is_list
from ._placeholders import fill
from ._runs import Run
from ._steps import Iteration, Json, Loop, Step
from ._wire_nodes import Container, Cost, Scope


Variables: TypeAlias = ChainMap[str, Any]
Play: TypeAlias = Callable[[tuple[Step, ...], Variables, Scope], Awaitable[Json]]

TOP = Scope()


def remember(variables: Variables, node_id: str, outputs: Json) -> None:
    """Make the outputs of a node known to later placeholders."""
    for key, value in outputs.items():
        variables[f"{node_id}.{key}"] = value


async def play_iteration(
    step: Iteration, run: Run, variables: Variables, play: Play
) -> Json:
    """Play the steps of an iteration once for each item.

    Raises:
        NodeFailed: A node in it failed.
        TypeError: The placeholder of the items is not a list.
    """
    items = _items(step, variables)
    results: list[Any] = []
    lap = _Laps(step, run, len(items), {"iterator_selector": items})
    try:
        for index, item in enumerate(items):
            run.send(nodes.container_next(run, lap.container, index))
            inner = variables.new_child({"item": item, "index": index})
            scope = Scope(iteration_id=step.id, index=index)
            outputs = await lap.time(play(step.steps, inner, scope))
            results.append(next(iter(outputs.values()), None))
    except NodeFailed:
        lap.complete({}, failed=True)
        raise
    outputs = {step.output: results}
    lap.complete(outputs)
    remember(variables, step.id, outputs)
    return outputs


async def play_loop(step: Loop, run: Run, variables: Variables, play: Play) -> Json:
    """Play the steps of a loop round after round.

    Raises:
        NodeFailed: A node in it failed.
    """
    rounds: dict[str, Any] = {}
    inputs = {"loop_count": step.count, **fill(step.inputs, variables)}
    lap = _Laps(step, run, step.count, inputs)
    try:
        for index in range(step.count):
            inner = variables.new_child({"index": index})
            scope = Scope(loop_id=step.id, index=index)
            await lap.time(play(step.steps, inner, scope))
            rounds[str(index)] = fill(step.outputs, inner)
            if len(rounds) == step.break_after:
                break
            # A real loop announces another round even after its last one.
            run.send(nodes.container_next(run, lap.container, index + 1))
    except NodeFailed:
        lap.complete({}, failed=True)
        raise
    outputs: dict[str, Any] = dict(rounds.get(str(len(rounds) - 1), ()))
    outputs["loop_round"] = len(rounds)
    broken = len(rounds) == step.break_after
    lap.complete(
        outputs,
        loop_variable_map=rounds,
        completed_reason="loop_break" if broken else "loop_completed",
    )
    remember(variables, step.id, outputs)
    return outputs


def _items(step: Iteration, variables: Variables) -> list[Any]:
    given = step.items if isinstance(step.items, str) else list(step.items)
    items: Any = fill(given, variables)
    if not is_list(items):
        message = f"the items of {step.id!r} must be a list, not {items!r:.60}"
        raise TypeError(message)
    return items


class _Laps:
    """The events around an iteration or a loop, and the time of each lap."""

    def __init__(
        self, step: Iteration | Loop, run: Run, length: int, inputs: Json
    ) -> None:
        kind: Literal["iteration", "loop"]
        kind = "iteration" if isinstance(step, Iteration) else "loop"
        self.container = Container(kind=kind, id=step.id, title=step.title)
        self._run, self._length, self._inputs = run, length, inputs
        self._started = time.perf_counter()
        self._tokens_before, self._price_before = run.total_tokens, run.total_price
        self._durations: dict[str, float] = {}
        run.total_steps += 1
        run.send(
            nodes.container_started(run, self.container, length=length, inputs=inputs)
        )

    async def time(self, lap: Awaitable[Json]) -> Json:
        """Await one lap, and note how long it took."""
        started = time.perf_counter()
        outputs = await lap
        self._durations[str(len(self._durations))] = seconds_since(started)
        return outputs

    def complete(self, outputs: Json, *, failed: bool = False, **more: Any) -> None:
        """Tell the end of all laps."""
        duration_map = f"{self.container.kind}_duration_map"
        completed = nodes.container_completed(
            self._run,
            self.container,
            inputs=self._inputs,
            outputs=outputs,
            status="failed" if failed else "succeeded",
            elapsed_time=seconds_since(self._started),
            cost=self._cost(),
            metadata={duration_map: self._durations, **more},
            steps=self._length,
        )
        self._run.send(completed)

    def _cost(self) -> Cost:
        price: Decimal = self._run.total_price - self._price_before
        return Cost(tokens=self._run.total_tokens - self._tokens_before, price=price)
