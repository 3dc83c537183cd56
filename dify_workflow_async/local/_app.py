"""App: an API key and what answers to it."""

import secrets

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

import attrs

from ._engine import StopStatus
from ._ids import new_id
from ._replay import Replay
from ._scenario import Scenario, Variable


Behaviour: TypeAlias = Scenario | Replay


def _new_key() -> str:
    return f"app-local-{secrets.token_hex(8)}"


def _tags(value: Iterable[str]) -> tuple[str, ...]:
    return tuple(value)


@attrs.define(eq=False)
class App:
    """One app of a server.

    Args:
        behaviour: What a run does: a scenario that is played, or a recording that
            is replayed. May be replaced while the server runs.
        key: The API key.
        name: The app's name.
        description: What the app says about itself.
        tags: The app's tags.
        mode: The kind of app; all but ``workflow`` refuse to run.
        author_name: Who made it.
        parameters: Keys of ``/parameters`` that replace the usual ones.
        stop_status: What the stream of a stopped run says on 1.13 and newer:
            ``stopped``, or ``failed`` with "Aborted: User requested stop".
        id: The id of the app, which only ``sys.app_id`` tells.
        workflow_id: The id of the published workflow.
    """

    behaviour: Behaviour
    key: str = attrs.field(factory=_new_key, kw_only=True, repr=False)

    # What /info tells
    name: str = attrs.field(default="local", kw_only=True)
    description: str = attrs.field(default="", kw_only=True)
    tags: tuple[str, ...] = attrs.field(default=(), converter=_tags, kw_only=True)
    mode: str = attrs.field(default="workflow", kw_only=True)
    author_name: str = attrs.field(default="local", kw_only=True)

    # What else it does
    parameters: Mapping[str, Any] = attrs.field(factory=dict[str, Any], kw_only=True)
    stop_status: StopStatus = attrs.field(default="stopped", kw_only=True)
    id: str = attrs.field(factory=new_id, kw_only=True)
    workflow_id: str = attrs.field(factory=new_id, kw_only=True)

    @property
    def variables(self) -> tuple[Variable, ...] | None:
        """The Start node's variables; ``None`` if anything is accepted."""
        return self.behaviour.inputs if isinstance(self.behaviour, Scenario) else None
