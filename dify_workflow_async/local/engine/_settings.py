"""What an app on the engine has instead of the outside: models, and limits of code."""

import os

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final, TypeAlias

import attrs

from .._fields import check_price


KEY_VARIABLE: Final = "OPENAI_API_KEY"


def _texts(value: str | Iterable[str]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)


def _replies(value: "Iterable[StubReply]") -> "tuple[StubReply, ...]":
    return tuple(value)


@attrs.frozen(kw_only=True)
class StubReply:
    """What a stub says to some prompts.

    Args:
        text: The pieces of the answer, one chunk each. ``{prompt}`` stands for the
            last message of the prompt.
        node: The node that it is for, by id; any if not given.
        contains: A text that the prompt must contain.
        delay: Seconds before the first piece.
        chunk_delay: Seconds before each further piece.
        error: What goes wrong, instead of an answer.
        failures: How many calls of a node in one run fail with that error before the
            answer comes; ``None`` is all of them.
        prompt_tokens: Tokens of the prompt; its words are counted if not given.
        completion_tokens: Tokens of the answer, likewise.
        finish_reason: Why the answer ends.
    """

    text: tuple[str, ...] = attrs.field(default=(), converter=_texts)
    node: str | None = None
    contains: str | None = None

    # Time
    delay: float = 0.0
    chunk_delay: float = 0.0

    # Failure
    error: str | None = None
    failures: int | None = None

    # Cost
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    finish_reason: str = "stop"


@attrs.frozen(kw_only=True)
class StubModel:
    """A model that says what was written down, always the same.

    Args:
        replies: What it says; the first reply that fits is taken. Without one it
            echoes the last message of the prompt, a word in each chunk.
        prompt_price: The price of a thousand tokens of prompts, as decimal text.
        completion_price: The same of answers.
        currency: The currency of both.
    """

    replies: tuple[StubReply, ...] = attrs.field(default=(), converter=_replies)
    prompt_price: str = attrs.field(default="0", validator=check_price)
    completion_price: str = attrs.field(default="0", validator=check_price)
    currency: str = "USD"

    @classmethod
    def from_yaml(cls, source: str | Path) -> "StubModel":
        """Read a stub from YAML, an object of these fields.

        Args:
            source: A path, or the YAML text itself. A text of one line that ends
                in ``.yml`` or ``.yaml`` is taken for a path.

        Raises:
            ScenarioError: The text is not YAML, or the description is wrong.
            ModuleNotFoundError: PyYAML is not installed.
            OSError: The file cannot be read.
        """
        from .._loading import parse_yaml, read_value

        stub: StubModel = read_value(cls, parse_yaml(source))
        return stub


def _no_slash(url: str) -> str:
    return url.rstrip("/")


@attrs.frozen(kw_only=True)
class OpenAIModel:
    """Any endpoint that speaks OpenAI's chat completions.

    Args:
        url: What ``/chat/completions`` is appended to, such as
            ``http://127.0.0.1:11434/v1``.
        key: The API key; ``OPENAI_API_KEY`` of the environment if not given, and
            none at all if that is not set.
        name: The model to ask for, instead of the one that a node names.
        timeout: Seconds of silence after which a call fails.
    """

    url: str = attrs.field(converter=_no_slash)
    key: str | None = attrs.field(
        factory=lambda: os.environ.get(KEY_VARIABLE), repr=False
    )
    name: str | None = None
    timeout: float = 120.0


Model: TypeAlias = StubModel | OpenAIModel
"""What answers for all models of an exported app."""


@attrs.frozen(kw_only=True)
class CodeLimits:
    """What the Python of a ``code`` node may use.

    These limits stop accidents. They are no sandbox: the code can do all that you
    can do, so run workflows of your own only.

    Args:
        seconds: How long it may run.
        megabytes: How much memory it may take, where the system can limit that.
        output_megabytes: How much it may print, its result included; the engine
            process has all of it in memory.
    """

    seconds: float = 15.0
    megabytes: int = 512
    # A list of thirty texts of 400,000 characters, the longest that Dify takes, is 12.
    output_megabytes: int = 16


def describe(model: Model, code: CodeLimits) -> dict[str, Any]:
    """Tell the settings as plain values, for an engine process."""
    return {
        "model": {"kind": type(model).__name__, **attrs.asdict(model)},
        "code": attrs.asdict(code),
    }
