"""A server on this machine that speaks Dify's API, for tests and for trying out.

It is a real server on a real socket. An app of it plays a scenario, replays a
recording, or runs a workflow that Dify exported on Dify's own engine. It shares no code
with the client, so that one bug cannot hide in both, and what it sends is held against
recordings of real servers.
"""

from . import faults
from ._app import App
from ._demo import demo_scenario
from ._errors import DslError, FormRefused, RecordingError, ScenarioError
from ._forms import Form
from ._received import ReceivedRequest
from ._recorder import Recorder
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
from .engine import (
    CodeLimits,
    Model,
    OpenAIModel,
    StubModel,
    StubReply,
    Workflow,
    is_dsl,
)


__all__ = [
    "AgentLog",
    "App",
    "CodeLimits",
    "Disconnect",
    "DslError",
    "ErrorEvent",
    "Form",
    "FormRefused",
    "Iteration",
    "LocalServer",
    "Loop",
    "Model",
    "Node",
    "OpenAIModel",
    "Parallel",
    "Pause",
    "Ping",
    "Raw",
    "ReceivedRequest",
    "Recorder",
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
    "StubModel",
    "StubReply",
    "Variable",
    "Workflow",
    "demo_scenario",
    "faults",
    "is_dsl",
]
