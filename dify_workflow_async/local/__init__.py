"""A server on this machine that speaks Dify's API, for tests and for trying out.

It is a real server on a real socket. An app of it plays a scenario or replays a
recording; nothing is computed and no model is asked. It shares no code with the
client, so that one bug cannot hide in both, and what it sends is held against
recordings of real servers.
"""

from . import faults
from ._app import App
from ._demo import demo_scenario
from ._errors import FormRefused, RecordingError, ScenarioError
from ._forms import Form
from ._received import ReceivedRequest
from ._replay import Replay
from ._runs import Run
from ._scenario import Scenario, Variable
from ._server import LocalServer
from ._sound import Refusal
from ._steps import (
    AgentLog,
    Disconnect,
    ErrorEvent,
    Iteration,
    Loop,
    Node,
    Parallel,
    Pause,
    Ping,
    Raw,
    Sleep,
    Speech,
    Step,
)
from ._uploads import StoredFile


__all__ = [
    "AgentLog",
    "App",
    "Disconnect",
    "ErrorEvent",
    "Form",
    "FormRefused",
    "Iteration",
    "LocalServer",
    "Loop",
    "Node",
    "Parallel",
    "Pause",
    "Ping",
    "Raw",
    "ReceivedRequest",
    "RecordingError",
    "Refusal",
    "Replay",
    "Run",
    "Scenario",
    "ScenarioError",
    "Sleep",
    "Speech",
    "Step",
    "StoredFile",
    "Variable",
    "demo_scenario",
    "faults",
]
