"""The steps of a scenario: what a scripted run does, one class for each kind.

Seconds are seconds, texts may contain ``{placeholders}``, and every step but
``Parallel`` is finished before the next one begins.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Literal, TypeAlias

import attrs

from ._fields import check_price, encode_audio


Json: TypeAlias = Mapping[str, Any]


def _nothing() -> Json:
    return {}


def _texts(value: str | Iterable[str]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)


def _objects(value: Iterable[Json]) -> tuple[Json, ...]:
    return tuple(value)


def _steps(value: "Iterable[Step]") -> "tuple[Step, ...]":
    return tuple(value)


def _branches(value: "Iterable[Iterable[Step]]") -> "tuple[tuple[Step, ...], ...]":
    return tuple(tuple(branch) for branch in value)


@attrs.frozen(kw_only=True)
class Node:
    """One node that runs once: ``node_started``, text, ``node_finished``.

    Args:
        type: The node's type, such as ``llm``. Outputs of ``end`` nodes are the
            outputs of the run; a ``start`` node shows the run's inputs.
        id: The node's id; the type if not given.
        title: The node's title; the id if not given.
        inputs: What the node got.
        outputs: What the node gives. If empty and there is text, the text.
        process_data: What the node says about its work.
        text: Pieces that are streamed as ``text_chunk``, one event each.
        text_output: The name of the output that the text belongs to.
        delay: Seconds before the first piece of text.
        chunk_delay: Seconds before each further piece.
        tokens: Tokens used; they add up in the run.
        price: Their price, as decimal text.
        currency: The currency of the price.
        status: How the node ends. ``failed`` ends the run too; ``exception``
            means that an error strategy dealt with it.
        error: The error of a node that failed, retried or had an exception.
        retries: How many attempts fail before the last, each a ``node_retry``.
        retry_delay: Seconds that each failed attempt takes.
        files: File objects that the node gives.
        truncate_at: The length above which the events show only the beginning of a
            text or a list, and say so, as 1.9 did; of an ``end`` node also
            ``workflow_finished``. The outputs themselves stay whole.
    """

    type: str
    id: str = attrs.field(
        default=attrs.Factory(lambda self: self.type, takes_self=True)
    )
    title: str = attrs.field(
        default=attrs.Factory(lambda self: self.id, takes_self=True)
    )

    # Data
    inputs: Json = attrs.field(factory=_nothing)
    outputs: Json = attrs.field(factory=_nothing)
    process_data: Json = attrs.field(factory=_nothing)
    files: tuple[Json, ...] = attrs.field(default=(), converter=_objects)
    truncate_at: int | None = None

    # Text and time
    text: tuple[str, ...] = attrs.field(default=(), converter=_texts)
    text_output: str = "text"
    delay: float = 0.0
    chunk_delay: float = 0.0

    # Cost
    tokens: int = 0
    price: str = attrs.field(default="0", validator=check_price)
    currency: str = "USD"

    # Failure
    status: Literal["succeeded", "failed", "exception"] = "succeeded"
    error: str | None = None
    retries: int = 0
    retry_delay: float = 0.0


@attrs.frozen(kw_only=True)
class Iteration:
    """An iteration node: the same steps once for each item.

    Within the steps ``{item}`` is the item and ``{index}`` counts from 0.

    Args:
        items: The items, or a placeholder of a list, such as ``{names}``.
        steps: What happens with each item.
        id: The node's id.
        title: The node's title.
        output: The name of the output, a list with the result of each item: the
            first output of its last node.
    """

    items: tuple[Any, ...] | str
    steps: "tuple[Step, ...]" = attrs.field(converter=_steps)
    id: str = "iteration"
    title: str = "Iteration"
    output: str = "output"


@attrs.frozen(kw_only=True)
class Loop:
    """A loop node: the same steps round after round.

    Within the steps ``{index}`` counts from 0.

    Args:
        count: The largest number of rounds.
        steps: What happens in each round.
        id: The node's id.
        title: The node's title.
        break_after: The number of rounds after which the loop is left early.
        inputs: The loop's variables before the first round.
        outputs: The loop's variables after each round.
    """

    count: int
    steps: "tuple[Step, ...]" = attrs.field(converter=_steps)
    id: str = "loop"
    title: str = "Loop"
    break_after: int | None = None
    inputs: Json = attrs.field(factory=_nothing)
    outputs: Json = attrs.field(factory=_nothing)


@attrs.frozen(kw_only=True)
class Parallel:
    """Branches that run at the same time; their events interleave.

    Args:
        branches: The steps of each branch.
    """

    branches: "tuple[tuple[Step, ...], ...]" = attrs.field(converter=_branches)


@attrs.frozen(kw_only=True)
class Pause:
    """A human-input node: the run waits until its form is answered or expires.

    Servers of 1.13 and newer send ``human_input_required`` and
    ``workflow_paused`` and end the stream; older ones say nothing and ping on.
    After either the steps that follow are played. Of a form that has expired the
    node's outputs are an empty ``__action_id`` and nothing else.

    Args:
        form_content: What the person reads, in Markdown.
        id: The node's id.
        title: The node's title.
        inputs: The form's inputs, as the API has them.
        actions: The form's buttons, each with ``id``, ``title``, ``button_style``.
        default_values: Values that the form begins with, by input.
        expires_in: Seconds until the form expires.
    """

    form_content: str = ""
    id: str = "human"
    title: str = "Human input"
    inputs: tuple[Json, ...] = attrs.field(default=(), converter=_objects)
    actions: tuple[Json, ...] = attrs.field(
        default=({"id": "approve", "title": "Approve", "button_style": "primary"},),
        converter=_objects,
    )
    default_values: Json = attrs.field(factory=_nothing)
    expires_in: float = 3600.0


@attrs.frozen(kw_only=True)
class Speech:
    """Speech: each piece is one ``tts_message``.

    Servers up to 1.12 end with ``tts_message_end``, and part of the speech comes
    after ``workflow_finished``; newer ones close before that part.

    Args:
        audio: Pieces of MP3, as bytes or as base64 text, sent in their place.
        tail: Pieces that come after ``workflow_finished``, or never.
        chunk_delay: Seconds before each piece.
    """

    audio: tuple[str, ...] = attrs.field(default=(), converter=encode_audio)
    tail: tuple[str, ...] = attrs.field(default=(), converter=encode_audio)
    chunk_delay: float = 0.0


@attrs.frozen(kw_only=True)
class Ping:
    """A ping at this very place."""


@attrs.frozen(kw_only=True)
class Sleep:
    """Time in which nothing happens.

    Args:
        seconds: How long.
    """

    seconds: float


@attrs.frozen(kw_only=True)
class ErrorEvent:
    """An ``error`` event inside the stream; the run is over then.

    Args:
        message: What is wrong.
        code: The error's code; without one the event has no run id either, as
            the worker of newer servers sends it.
        status: The HTTP status that the same error would have.
    """

    message: str
    code: str | None = None
    status: int = 500


@attrs.frozen(kw_only=True)
class AgentLog:
    """One ``agent_log`` event.

    Args:
        label: What the agent does.
        node_id: The agent's node.
        id: The id of the entry; sent again when its step ends.
        parent_id: The entry above.
        status: ``start``, ``success`` or ``error``.
        error: The error of a step that failed.
        data: What the step worked on.
        metadata: What it cost.
    """

    label: str
    node_id: str = "agent"
    id: str = "log-1"
    parent_id: str | None = None
    status: Literal["start", "success", "error"] = "success"
    error: str | None = None
    data: Json = attrs.field(factory=_nothing)
    metadata: Json = attrs.field(factory=_nothing)


@attrs.frozen(kw_only=True)
class Raw:
    """Any event object, sent as it is: for events of servers to come.

    Args:
        event: The whole object.
    """

    event: Json


@attrs.frozen(kw_only=True)
class Disconnect:
    """The connection breaks here, in mid-body; the run goes on."""


Step: TypeAlias = (
    Node
    | Iteration
    | Loop
    | Parallel
    | Pause
    | Speech
    | Ping
    | Sleep
    | ErrorEvent
    | AgentLog
    | Raw
    | Disconnect
)
"""What a scenario is made of."""
