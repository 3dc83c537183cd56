"""Any endpoint that speaks OpenAI's chat completions, streamed."""

import contextlib
import json
import threading

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import httpx

from graphon.model_runtime.entities.llm_entities import LLMUsage
from graphon.model_runtime.entities.message_entities import (
    ImagePromptMessageContent,
    PromptMessage,
    TextPromptMessageContent,
)

from ._model import ModelCallFailed, Piece, Request, TextModel


# Of an answer that is an error, how much is told.
_LONGEST_ERROR: Final = 500

_DONE: Final = b"[DONE]"


class OpenAIModel(TextModel):
    """A model behind an endpoint.

    Args:
        data: The ``model`` of the node.
        endpoint: The values of the server's ``OpenAIModel``.
        stopping: Whether the run is being stopped.
    """

    def __init__(
        self,
        data: Mapping[str, Any],
        *,
        endpoint: Mapping[str, Any],
        stopping: threading.Event,
    ) -> None:
        super().__init__(data)
        self._endpoint = endpoint
        self._stopping = stopping

    def speak(self, request: Request) -> Iterator[Piece]:
        """Ask the endpoint, and pass on what it streams."""
        key = self._endpoint["key"]
        try:
            with httpx.stream(
                "POST",
                f"{self._endpoint['url']}/chat/completions",
                json=self._body(request),
                headers={"Authorization": f"Bearer {key}"} if key else {},
                timeout=self._endpoint["timeout"],
            ) as response:
                if response.is_error:
                    response.read()
                    raise ModelCallFailed(_refusal(response))
                for data in _events(response.iter_bytes()):
                    if self._stopping.is_set():
                        return
                    yield from _pieces(json.loads(data))
        except httpx.HTTPError as exc:
            message = f"{type(exc).__name__}: {exc}"
            raise ModelCallFailed(message) from exc
        except (ValueError, LookupError, TypeError, AttributeError) as exc:
            message = f"the endpoint's answer is no chat completion: {exc!r}"
            raise ModelCallFailed(message) from exc

    def _body(self, request: Request) -> dict[str, Any]:
        body: dict[str, Any] = {
            **request.parameters,
            "model": self._endpoint["name"] or self.model_name,
            "messages": [_message(one) for one in request.messages],
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        if request.stop:
            body["stop"] = list(request.stop)
        if request.json_schema is not None:
            schema = {"name": "answer", "schema": dict(request.json_schema)}
            body["response_format"] = {"type": "json_schema", "json_schema": schema}
        return body


def _events(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Read the data of server-sent events, whose lines end at LF alone.

    The lines of ``httpx`` would end at U+2028 as well, which may be in an answer.
    """
    rest = b""
    for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            name, _, data = line.strip(b"\r").partition(b":")
            if name == b"data":
                if data.strip() == _DONE:
                    return
                yield data


def _pieces(event: Mapping[str, Any]) -> Iterator[Piece]:
    for choice in event.get("choices") or ():
        delta: dict[str, Any] = choice.get("delta") or {}
        text, reason = delta.get("content"), choice.get("finish_reason")
        if text or reason:
            yield Piece(text=text or "", finish_reason=reason)
    usage = event.get("usage")
    if usage:
        names = ("prompt_tokens", "completion_tokens", "total_tokens")
        counts = {name: int(usage.get(name) or 0) for name in names}
        yield Piece(usage=LLMUsage.from_metadata(counts))


def _message(message: PromptMessage) -> dict[str, Any]:
    content = message.content
    parts: Any = content
    if isinstance(content, Sequence) and not isinstance(content, str):
        parts = [_part(part) for part in content]
    return {"role": message.role.value, "content": parts or ""}


def _part(part: object) -> dict[str, Any]:
    if isinstance(part, TextPromptMessageContent):
        return {"type": "text", "text": part.data}
    if isinstance(part, ImagePromptMessageContent):
        return {"type": "image_url", "image_url": {"url": part.data}}
    message = f"{type(part).__name__} cannot be sent to this endpoint"
    raise ModelCallFailed(message)


def _refusal(response: httpx.Response) -> str:
    text = response.text[:_LONGEST_ERROR]
    with contextlib.suppress(ValueError, KeyError, TypeError):
        text = response.json()["error"]["message"]
    return f"the endpoint answered {response.status_code}: {text}"
