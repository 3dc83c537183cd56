"""RunStore: the runs that a server remembers."""

import asyncio

from collections import Counter
from collections.abc import Callable, Coroutine, Iterable, Iterator
from typing import Any, Final

from ._forms import Form
from ._runs import Run


# Finished runs that can still be read; older ones are forgotten.
MAX_KEPT_RUNS: Final = 1_000


class RunStore:
    """All runs of a server, and the owner of their tasks.

    Args:
        marker: The input by which starts are counted.

    Attributes:
        starts: How many runs were started, by the value of that input.
    """

    def __init__(self, marker: str = "marker") -> None:
        self.starts: Counter[str] = Counter()
        self._marker = marker
        self._runs: dict[tuple[str, str], Run] = {}
        self._started: list[Run] = []
        self._tasks: set[asyncio.Task[None]] = set()

    def __iter__(self) -> Iterator[Run]:
        """Give every start, the oldest first; those of one recording share an id."""
        return iter(self._started)

    def add(self, run: Run) -> None:
        """Remember a run, and forget the oldest that are over if there are many."""
        self._started.append(run)
        self.starts[str(run.inputs.get(self._marker, ""))] += 1
        _forget(self._started, lambda: enumerate(self._started))
        self._name(run)

    def go_on(self, run: Run) -> None:
        """Remember how a run went on that a recording tells in parts.

        It is no start; of a run that is known, the user and the inputs stay.
        """
        known = self.find(run.id, run.app_key)
        if known is not None:
            run.user, run.inputs = known.user, known.inputs
            self._started = [run if one is known else one for one in self._started]
        self._name(run)

    def _name(self, run: Run) -> None:
        """Let a run be found by its id, the last one if several have it."""
        key = (run.app_key, run.id)
        self._runs.pop(key, None)  # so that it becomes the youngest
        self._runs[key] = run
        _forget(self._runs, self._runs.items)

    def start(self, run: Run, work: Coroutine[Any, Any, None]) -> None:
        """Remember a run and begin its work in a task of its own."""
        self.add(run)
        task = run.begin(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def find(self, run_id: str, app_key: str) -> Run | None:
        """Find a run of an app."""
        return self._runs.get((app_key, run_id))

    def of_app(self, app_key: str) -> list[Run]:
        """List the runs of an app by their ids, the oldest first."""
        return [run for run in self._runs.values() if run.app_key == app_key]

    def find_form(self, token: str, app_key: str) -> Form | None:
        """Find a form of the runs of an app."""
        forms = (form for run in self.of_app(app_key) for form in run.forms)
        return next((form for form in forms if form.token == token), None)

    def stop(self, task_id: str) -> None:
        """Stop the run of a task, if there is one, whoever asks."""
        for run in self:
            if run.task_id == task_id:
                run.stop()

    async def cancel(self) -> None:
        """Cancel every run under way, and wait until they are gone."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _forget(kept: Any, items: Callable[[], Iterable[tuple[Any, Run]]]) -> None:
    """Forget the oldest runs that are over, if there are too many."""
    while len(kept) > MAX_KEPT_RUNS:
        oldest = next((key for key, run in items() if run.is_over), None)
        if oldest is None:
            return
        del kept[oldest]
