"""`Bar`: one execution in the picture, and where all of them go."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import attrs

from ..views import NodeState


@attrs.frozen(kw_only=True)
class Bar:
    """One execution, as it is drawn.

    Attributes:
        state: the execution: its title, type, status, round, tokens and so on.
        parent: the ``id`` of the execution of an iteration or loop around it.
        depth: in how many iterations and loops it lies.
        lane: its row, from 0. A node has a row of its own, on which its executions
            follow one another; those that overlap are on rows below that.
        start: seconds from the beginning of the run.
        seconds: how long it took, with the tries before the last; until now, or the
            run's end, if nothing told its own end.
    """

    state: NodeState
    parent: str | None = None
    depth: int = 0
    lane: int = 0
    start: float
    seconds: float

    @property
    def end(self) -> float:
        """Seconds from the beginning of the run."""
        return self.start + self.seconds

    @property
    def is_block(self) -> bool:
        """True for an iteration or a loop."""
        return self.state.rounds is not None


_Path = tuple[str, ...]


def arranged(bars: Iterable[Bar]) -> tuple[Bar, ...]:
    """The *bars* with their depths and lanes, by lane and start.

    A node comes below the iteration or loop that it lies in, and beside others in the
    order in which they first began.
    """
    known = {bar.state.id: bar for bar in bars}
    groups: dict[_Path, list[Bar]] = {}
    for bar in sorted(known.values(), key=lambda bar: bar.start):
        groups.setdefault(_path(bar, known), []).append(bar)
    placed: list[Bar] = []
    first = 0
    for path in _in_order(groups):
        lanes: list[list[Bar]] = []
        for bar in groups[path]:
            free = (lane for lane in lanes if lane[-1].end <= bar.start)
            lane = next(free, None)
            if lane is None:
                lanes.append(lane := [])
            lane.append(bar)
        for number, lane in enumerate(lanes, first):
            placed += [
                attrs.evolve(bar, lane=number, depth=len(path) - 1) for bar in lane
            ]
        first += len(lanes)
    return tuple(placed)


def _path(bar: Bar, known: Mapping[str, Bar]) -> _Path:
    """The nodes around it from the outside in, and itself."""
    path: list[str] = []
    seen: set[str] = set()  # a server that names a node its own parent names it once
    up: Bar | None = bar
    while up is not None and up.state.id not in seen:
        seen.add(up.state.id)
        path.append(up.state.node_id or up.state.id)
        up = known.get(up.parent or "")
    return tuple(reversed(path))


def _in_order(groups: Iterable[_Path]) -> Iterator[_Path]:
    """All of *groups*, each followed by those in it."""
    within: dict[_Path, list[_Path]] = {}
    for path in groups:
        within.setdefault(path[:-1], []).append(path)

    ahead = within.get((), [])[::-1]  # no recursion: a server may nest as it likes
    while ahead:
        path = ahead.pop()
        yield path
        ahead += within.get(path, [])[::-1]
