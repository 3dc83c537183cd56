"""A scenario to look at: a little of everything that a run sends."""

import base64

from ._scenario import Scenario, Variable
from ._steps import Iteration, Node, Speech


_ANSWER = (
    "You asked ",
    "about “{topic}”. ",
    "Here is ",
    "what a workflow ",
    "sends ",
    "while it runs: ",
    "its nodes ",
    "begin and end, ",
    "text arrives ",
    "piece by piece, ",
    "and speech ",
    "follows.",
)

# The header of a silent MPEG frame (layer III, 32 kbit/s, 32 kHz, mono) with its
# 144 bytes: small, but players take it for what it says it is.
_SILENCE = base64.b64encode(b"\xff\xfb\x18\xc4" + bytes(140)).decode("ascii")


def demo_scenario() -> Scenario:
    """Make a scenario of about two seconds.

    A model streams a dozen pieces of text, an iteration goes over three items, and
    speech is sent. On a server up to 1.12 (``LocalServer(version="1.12.1")``) part of
    the speech comes after ``workflow_finished``, which is the case that clients get
    wrong.
    """
    return Scenario(
        inputs=[
            Variable(variable="topic", label="Topic", default="events", max_length=256)
        ],
        steps=[
            Node(type="start", title="Start"),
            _model(),
            Iteration(
                id="each",
                title="For each part",
                items=("nodes", "text", "speech"),
                steps=[
                    Node(
                        type="template-transform",
                        id="line",
                        title="Line",
                        inputs={"item": "{item}", "index": "{index}"},
                        outputs={"output": "{index}: {item}"},
                        delay=0.1,
                    )
                ],
            ),
            Node(type="tool", id="speak", title="Speak", delay=0.1),
            Speech(audio=[_SILENCE] * 2, tail=[_SILENCE] * 3, chunk_delay=0.05),
            Node(
                type="end",
                title="End",
                outputs={"text": "{llm.text}", "parts": "{each.output}"},
            ),
        ],
    )


def _model() -> Node:
    return Node(
        type="llm",
        title="Model",
        inputs={"model_provider": "local", "model_name": "demo"},
        text=_ANSWER,
        delay=0.2,
        chunk_delay=0.06,
        tokens=42,
        price="0.0000420",
        process_data={"model_mode": "chat", "finish_reason": "stop"},
    )
