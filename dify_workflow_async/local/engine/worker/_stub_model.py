"""The stub: says what was written down."""

import re
import threading

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from graphon.model_runtime.entities.llm_entities import LLMUsage

from ._model import ModelCallFailed, Piece, Request, TextModel, count_words


_THOUSAND: Final = Decimal("0.001")  # prices are for a thousand tokens
_SMALLEST: Final = Decimal("0.0000001")


class StubModel(TextModel):
    """A model that answers from a script.

    Args:
        data: The ``model`` of the node.
        node_id: The node.
        script: The values of the server's ``StubModel``.
        calls: How many calls of each node there were in this run.
        stopping: Whether the run is being stopped.
    """

    def __init__(
        self,
        data: Mapping[str, Any],
        *,
        node_id: str,
        script: Mapping[str, Any],
        calls: Counter[str],
        stopping: threading.Event,
    ) -> None:
        super().__init__(data)
        self._node_id = node_id
        self._script = script
        self._calls = calls
        self._stopping = stopping

    def speak(self, request: Request) -> Iterator[Piece]:
        """Answer with the first reply that fits, or with an echo."""
        texts = [message.get_text_content() for message in request.messages]
        prompt = texts[-1] if texts else ""
        reply = self._reply("\n".join(texts))
        call = self._calls[self._node_id]
        self._calls[self._node_id] += 1
        self._wait(reply.get("delay", 0.0))
        if reply.get("error") is not None:
            failures = reply["failures"]
            if failures is None or call < failures:
                raise ModelCallFailed(reply["error"])
        pieces = [text.replace("{prompt}", prompt) for text in reply.get("text") or ()]
        pieces = pieces or _echo(prompt)
        for index, text in enumerate(pieces):
            if index:
                self._wait(reply.get("chunk_delay", 0.0))
            yield Piece(text=text)
        yield Piece(
            usage=self._usage(reply, request, pieces),
            finish_reason=reply.get("finish_reason", "stop"),
        )

    def _reply(self, prompt: str) -> Mapping[str, Any]:
        for reply in self._script["replies"]:
            is_for_node = reply["node"] in (None, self._node_id)
            if is_for_node and (reply["contains"] or "") in prompt:
                found: Mapping[str, Any] = reply
                return found
        return {}

    def _wait(self, seconds: float) -> None:
        if seconds and self._stopping.wait(seconds):
            message = "the run is stopped"
            raise ModelCallFailed(message)

    def _usage(
        self, reply: Mapping[str, Any], request: Request, pieces: Sequence[str]
    ) -> LLMUsage:
        prompt, completion = reply.get("prompt_tokens"), reply.get("completion_tokens")
        if prompt is None:
            prompt = count_words(request.messages)
        if completion is None:
            completion = len("".join(pieces).split())
        unit_prices = [
            Decimal(self._script[name]) for name in ("prompt_price", "completion_price")
        ]
        prices = [
            (count * unit * _THOUSAND).quantize(_SMALLEST)
            for count, unit in zip((prompt, completion), unit_prices, strict=True)
        ]
        return LLMUsage(
            prompt_tokens=prompt,
            prompt_unit_price=unit_prices[0],
            prompt_price_unit=_THOUSAND,
            prompt_price=prices[0],
            completion_tokens=completion,
            completion_unit_price=unit_prices[1],
            completion_price_unit=_THOUSAND,
            completion_price=prices[1],
            total_tokens=prompt + completion,
            total_price=prices[0] + prices[1],
            currency=self._script["currency"],
            latency=0.0,
        )


def _echo(prompt: str) -> list[str]:
    """Cut a text into words, each with the space before it."""
    return re.findall(r"\s*\S+\s*$|\s*\S+", prompt) or [prompt]
