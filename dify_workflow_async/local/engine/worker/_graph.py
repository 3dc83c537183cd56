"""LoadedGraph: an app's graph, checked once and built anew for each run."""

from collections.abc import Callable, Mapping
from typing import Any, Final

import yaml

from graphon.dsl import inspect
from graphon.graph.graph import Graph
from graphon.runtime.init_params import InitParams
from graphon.runtime.runtime_state import RuntimeState
from graphon.runtime.variable_pool import VariablePool

from ._factory import NodeFactory, Surroundings
from ._queue import PatientQueue


# What the engine gives each run by default, and what one needs that has no branches.
_SEVERAL: Final = 5
_ONE: Final = 1


class LoadedGraph:
    """The graph of one app.

    Args:
        settings: What the server tells: ``dsl``, ``model`` and ``code``.

    Attributes:
        settings: The same.
        titles: The title of each node.
        models: The model of each node that has one.
        workers: How many nodes of a run may have to run at a time.

    Raises:
        Exception: The engine's own, when it cannot read the DSL.
    """

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self.settings = settings
        # The reader that is loaded with the plan refuses what only its own factory
        # cannot build; that verdict is not asked for.
        document = inspect(settings["dsl"]).document
        if document.graph_config is None:
            message = "there is no graph that could run"
            raise ValueError(message)
        self._config = document.graph_config
        self._variables = document.runtime_variables
        nodes = self._config["nodes"]
        self._root = next(
            str(one["id"]) for one in nodes if one["data"]["type"] == "start"
        )
        self.titles = {
            str(one["id"]): str(one["data"].get("title") or "") for one in nodes
        }
        raw = yaml.safe_load(settings["dsl"])["workflow"]["graph"]["nodes"]
        self.models: dict[str, Mapping[str, Any]] = {
            str(one["id"]): one["data"]["model"]
            for one in raw
            if isinstance(one.get("data"), dict)
            and isinstance(one["data"].get("model"), dict)
        }
        self.workers = _SEVERAL if self._has_branches() else _ONE

    def new_state(
        self, order: Mapping[str, Any], revive: Callable[[Any], Any]
    ) -> RuntimeState:
        """Make the state of a run at its beginning.

        Args:
            order: What the server tells of the run: ``workflow_id``, ``inputs``,
                ``system``.
            revive: Makes files of the file values in inputs.
        """
        pool = VariablePool()
        for variable in self._variables.environment_variables:
            pool.add(("env", variable.name), variable.value)
        for name, value in order["system"].items():
            pool.add(("sys", name), revive(value))
        for name, value in order["inputs"].items():
            pool.add((self._root, name), revive(value))
        return RuntimeState(
            variable_pool=pool,
            start_at=order["started_at"],
            workflow_id=order["workflow_id"],
            ready_queue=PatientQueue(),
        )

    def build(self, state: RuntimeState, surroundings: Surroundings) -> Graph:
        """Build the nodes of a run.

        Raises:
            Exception: The engine's own, when the graph is wrong.
        """
        params = InitParams(
            workflow_id=state.graph_execution.workflow_id,
            graph_config=self._config,
            run_context={},
            call_depth=0,
        )
        return Graph.init(
            graph_config=self._config,
            node_factory=NodeFactory(
                init_params=params, runtime_state=state, surroundings=surroundings
            ),
            root_node_id=self._root,
        )

    def _has_branches(self) -> bool:
        """Tell whether nodes may run side by side."""
        outgoing = [
            (edge["source"], edge.get("sourceHandle")) for edge in self._config["edges"]
        ]
        forks = len(set(outgoing)) < len(outgoing)
        laps = any(one["data"].get("is_parallel") for one in self._config["nodes"])
        return forks or laps
