"""The executions of a run as rows of a tree, as many as there is room for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from decimal import Decimal

import attrs

from rich.text import Text

from ..views import NodeState, Usage
from ._text import printable, span, spent


@attrs.frozen
class Signs:
    """What stands before a row, by the status of what it tells of.

    Attributes:
        spinner: the frames of what runs.
        branch: of the tree: of a row with others below, of the last, and what goes on
            under each.
    """

    spinner: str
    succeeded: str
    failed: str
    other: str
    more: str
    branch: tuple[str, str, str, str]

    def of(self, status: str | None, frame: int) -> tuple[str, str]:
        """The sign of a status, and its style; *frame* counts on while it runs."""
        match status:
            case "running":
                return self.spinner[frame % len(self.spinner)], "cyan"
            case "succeeded" | "partial-succeeded":
                return self.succeeded, "green"
            case "failed" | "exception":
                return self.failed, "red" if status == "failed" else "yellow"
            case _:
                return self.other, "yellow"


UNICODE = Signs("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏", "✓", "✗", "■", "⋮", ("├─ ", "└─ ", "│  ", "   "))
ASCII = Signs("|/-\\", "+", "x", "#", ":", ("|- ", "`- ", "|  ", "   "))


@attrs.frozen
class Branch:
    """A row, and what is below it.

    Attributes:
        pressing: the higher, the longer it is shown where there is too little room.
    """

    text: Text
    pressing: int
    below: Sequence[Branch] = ()


@attrs.frozen(kw_only=True)
class Tree:
    """Makes the rows.

    Attributes:
        seconds: for how long an execution has been running here.
        frame: of the spinners.
    """

    signs: Signs
    seconds: Callable[[NodeState], float]
    frame: int = 0

    def rows(self, states: Iterable[NodeState], room: int) -> list[Text]:
        """The rows of a run's executions, in the order in which they began.

        Rounds that are over are one row. If there are still more rows than *room*, those
        of what has ended go first.
        """
        states = list(states)
        known = {state.id for state in states}
        inside: dict[str | None, list[NodeState]] = {}
        for state in states:
            parent = state.parent if state.parent in known else None
            inside.setdefault(parent, []).append(state)
        branches = [self._node(x, inside.get(x.id, ())) for x in inside.get(None, ())]
        return self._fitting(list(self._flat(branches)), room)

    # -- branches --------------------------------------------------------------------

    def _node(self, state: NodeState, inside: Sequence[NodeState]) -> Branch:
        text = self._label(
            state.status,
            state.title or state.node_type or state.id,
            self._details(state),
        )
        if state.error:
            text.append(f"  {printable(state.error)}", "red")
        return Branch(text, _pressing(state), list(self._rounds(state, inside)))

    def _rounds(
        self, state: NodeState, inside: Sequence[NodeState]
    ) -> Iterator[Branch]:
        """What is in an iteration or loop: rounds that are over in one row."""
        rounds: dict[int | None, list[NodeState]] = {}
        for each in inside:
            rounds.setdefault(each.round, []).append(each)
        newest = max((x for x in rounds if x is not None), default=None)
        over = {
            number: nodes
            for number, nodes in rounds.items()
            if not any(node.is_running for node in nodes)
            and not (state.is_running and number == newest)
        }
        ended = [node for nodes in over.values() for node in nodes]
        if ended:
            yield self._over(len(over), ended)
            bad = [node for node in ended if node.status in {"failed", "exception"}]
            yield from (self._node(node, ()) for node in bad[-3:])
        for number, nodes in rounds.items():
            if number not in over:
                text = Text(
                    f"round {number}" if number is not None else "a round", "dim"
                )
                yield Branch(text, 1, [self._node(node, ()) for node in nodes])

    def _over(self, number: int, nodes: Sequence[NodeState]) -> Branch:
        failed = sum(node.status == "failed" for node in nodes)
        name = f"{_several(number, 'round')}, {_several(len(nodes), 'node')}"
        details = [f"{failed:,} failed"] if failed else []
        tokens = sum(node.total_tokens or 0 for node in nodes)
        prices: dict[str, Decimal] = {}
        for node in nodes:
            if node.total_price:
                currency = node.currency or ""
                prices[currency] = prices.get(currency, Decimal(0)) + node.total_price
        details.append(spent(tokens, prices))
        return Branch(
            self._label("failed" if failed else "succeeded", name, details), 1
        )

    # -- texts -----------------------------------------------------------------------

    def _label(self, status: str | None, name: str, details: Iterable[str]) -> Text:
        sign, style = self.signs.of(status, self.frame)
        text = Text(no_wrap=True, overflow="ellipsis")
        text.append(f"{sign} ", style).append(printable(name))
        if told := " · ".join(filter(None, details)):
            text.append(f"  {told}", "dim")
        return text

    def _details(self, state: NodeState) -> Iterator[str]:
        if state.status not in {"running", "succeeded", "failed"}:
            yield state.status
        if state.rounds is not None:
            of = f"/{state.expected_rounds:,}" if state.expected_rounds else ""
            yield f"{state.rounds:,}{of} rounds"
        if state.attempts > 1:
            yield f"try {state.attempts}"
        if state.is_running:
            yield span(self.seconds(state))
        elif state.elapsed_time is not None:
            yield span(state.elapsed_time)
        price = state.total_price
        prices = {state.currency or "": price} if price else {}
        yield spent(state.total_tokens or 0, prices)

    def head(self, status: str | None, seconds: float, usage: Usage) -> Text:
        """The row above the tree: the run itself."""
        details = [span(seconds)]
        nodes = _several(usage.running + usage.finished, "node")
        if usage.running:
            details.append(f"{usage.running:,} of {nodes} running")
        elif usage.finished:
            details.append(nodes)
        if usage.failed:
            details.append(f"{usage.failed:,} failed")
        prices = {currency: x for currency, x in usage.prices.items() if x}
        details.append(spent(usage.total_tokens, prices))
        return self._label(status or "running", status or "starting", details)

    # -- rows ------------------------------------------------------------------------

    def _flat(
        self, branches: Sequence[Branch], guide: str = ""
    ) -> Iterator[tuple[Text, int]]:
        for branch in branches:
            fork, end, along, under = self.signs.branch
            is_last = branch is branches[-1]
            row = Text(guide + (end if is_last else fork), "dim", no_wrap=True)
            row.overflow = "ellipsis"
            yield row + branch.text, branch.pressing
            yield from self._flat(branch.below, guide + (under if is_last else along))

    def _fitting(self, rows: list[tuple[Text, int]], room: int) -> list[Text]:
        """The most pressing rows, of these the last; above them how many are left out."""
        if len(rows) <= room:
            return [text for text, _ in rows]
        by_need = sorted(range(len(rows)), key=lambda n: (rows[n][1], n), reverse=True)
        shown = sorted(by_need[: max(0, room - 1)])
        left_out = f"{self.signs.more}  {len(rows) - len(shown):,} more rows"
        return [Text(left_out, "dim"), *(rows[n][0] for n in shown)]


def _pressing(state: NodeState) -> int:
    if state.is_running:
        return 3
    return 2 if state.status == "failed" else 0


def _several(number: int, what: str) -> str:
    return f"{number:,} {what}{'s' * (number != 1)}"
