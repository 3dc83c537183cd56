"""A language model, as the engine's nodes ask it: pieces of text into its results."""

import json

from abc import abstractmethod
from collections.abc import Generator, Iterator, Mapping, Sequence
from typing import Any, Final

import attrs

from graphon.model_runtime.entities.common_entities import I18nObject
from graphon.model_runtime.entities.llm_entities import (
    LLMResult,
    LLMResultChunk,
    LLMResultChunkDelta,
    LLMResultChunkWithStructuredOutput,
    LLMResultWithStructuredOutput,
    LLMUsage,
)
from graphon.model_runtime.entities.message_entities import (
    AssistantPromptMessage,
    PromptMessage,
)
from graphon.model_runtime.entities.model_entities import (
    AIModelEntity,
    FetchFrom,
    ModelFeature,
    ModelPropertyKey,
    ModelType,
)
from graphon.nodes.llm.runtime_protocols import LLMProtocol


# Large enough that no prompt is cut for it.
_CONTEXT_SIZE: Final = 1_000_000

_FEATURES: Final = [
    ModelFeature.VISION,
    ModelFeature.DOCUMENT,
    ModelFeature.AUDIO,
    ModelFeature.VIDEO,
    ModelFeature.STRUCTURED_OUTPUT,
]


class ModelCallFailed(Exception):
    """Raised when a model gives no answer; the node fails with its name and text."""


@attrs.frozen(kw_only=True)
class Request:
    """What a model is asked.

    Args:
        messages: The prompt.
        parameters: What the node sets, such as the temperature.
        stop: Words that end the answer.
        json_schema: What the answer must be, if it must be JSON.
    """

    messages: Sequence[PromptMessage]
    parameters: Mapping[str, Any]
    stop: Sequence[str] = ()
    json_schema: Mapping[str, Any] | None = None


@attrs.frozen(kw_only=True)
class Piece:
    """A piece of an answer; the last one tells the cost and why it ends."""

    text: str = ""
    usage: LLMUsage | None = None
    finish_reason: str | None = None


class TextModel(LLMProtocol):
    """A model of one node in one run; what it says is the business of subclasses.

    Args:
        data: The ``model`` of the node, as the DSL has it.
    """

    def __init__(self, data: Mapping[str, Any]) -> None:
        self._provider = str(data.get("provider") or "")
        self._name = str(data.get("name") or "")
        self._mode = str(data.get("mode") or "chat")
        self._parameters = dict(data.get("completion_params") or {})

    @abstractmethod
    def speak(self, request: Request) -> Iterator[Piece]:
        """Answer, piece by piece.

        Raises:
            ModelCallFailed: There is no answer.
        """

    @property
    def provider(self) -> str:
        """The provider that the node names."""
        return self._provider

    @property
    def model_name(self) -> str:
        """The model that the node names."""
        return self._name

    @property
    def parameters(self) -> Mapping[str, Any]:
        """What the node sets."""
        return dict(self._parameters)

    @parameters.setter
    def parameters(self, value: Mapping[str, Any]) -> None:
        self._parameters = dict(value)

    @property
    def stop(self) -> Sequence[str] | None:
        """The words that end an answer."""
        words: Sequence[str] | None = self._parameters.get("stop")
        return words

    def get_model_schema(self) -> AIModelEntity:
        """Tell what the model can do: all that a node may ask for."""
        return AIModelEntity(
            model=self._name,
            label=I18nObject(en_US=self._name),
            model_type=ModelType.LLM,
            features=_FEATURES,
            fetch_from=FetchFrom.CUSTOMIZABLE_MODEL,
            model_properties={
                ModelPropertyKey.MODE: self._mode,
                ModelPropertyKey.CONTEXT_SIZE: _CONTEXT_SIZE,
            },
        )

    def get_llm_num_tokens(self, prompt_messages: Sequence[PromptMessage]) -> int:
        """Count the words of a prompt."""
        return count_words(prompt_messages)

    def invoke_llm(  # type: ignore[override] # its overloads say what its flag says
        self,
        *,
        prompt_messages: Sequence[PromptMessage],
        model_parameters: Mapping[str, Any],
        tools: object = None,
        stop: Sequence[str] | None = None,
        stream: bool = True,
    ) -> LLMResult | Generator[LLMResultChunk, None, None]:
        """Answer, as chunks or as a whole."""
        del tools
        request = Request(
            messages=prompt_messages, parameters=model_parameters, stop=stop or ()
        )
        return self._stream(request) if stream else self._whole(request)

    def invoke_llm_with_structured_output(  # type: ignore[override]
        self,
        *,
        prompt_messages: Sequence[PromptMessage],
        json_schema: Mapping[str, Any],
        model_parameters: Mapping[str, Any],
        stop: Sequence[str] | None = None,
        stream: bool = True,
    ) -> (
        LLMResultWithStructuredOutput
        | Generator[LLMResultChunkWithStructuredOutput, None, None]
    ):
        """Answer with JSON, as chunks of its text or as a whole."""
        request = Request(
            messages=prompt_messages,
            parameters=model_parameters,
            stop=stop or (),
            json_schema=json_schema,
        )
        if stream:
            return self._stream_json(request)
        whole = self._whole(request)
        text = str(whole.message.content)
        return LLMResultWithStructuredOutput(
            **whole.model_dump(), structured_output=_parse(text)
        )

    def is_structured_output_parse_error(self, error: Exception) -> bool:
        """Tell whether an error is that of an answer that is no JSON."""
        return isinstance(error, json.JSONDecodeError)

    def _stream(self, request: Request) -> Generator[LLMResultChunk, None, None]:
        for index, piece in enumerate(self.speak(request)):
            yield LLMResultChunk(model=self._name, delta=_delta(index, piece))

    def _stream_json(
        self, request: Request
    ) -> Generator[LLMResultChunkWithStructuredOutput, None, None]:
        text, index = "", 0
        for piece in self.speak(request):
            text += piece.text
            yield LLMResultChunkWithStructuredOutput(
                model=self._name, delta=_delta(index, piece)
            )
            index += 1
        yield LLMResultChunkWithStructuredOutput(
            model=self._name,
            delta=_delta(index, Piece()),
            structured_output=_parse(text),
        )

    def _whole(self, request: Request) -> LLMResult:
        pieces = list(self.speak(request))
        usages = [piece.usage for piece in pieces if piece.usage is not None]
        return LLMResult(
            model=self._name,
            message=AssistantPromptMessage(content="".join(one.text for one in pieces)),
            usage=usages[-1] if usages else LLMUsage.empty_usage(),
        )


def count_words(messages: Sequence[PromptMessage]) -> int:
    """Count the words of messages."""
    return sum(len(message.get_text_content().split()) for message in messages)


def _delta(index: int, piece: Piece) -> LLMResultChunkDelta:
    return LLMResultChunkDelta(
        index=index,
        message=AssistantPromptMessage(content=piece.text),
        usage=piece.usage,
        finish_reason=piece.finish_reason,
    )


def _parse(text: str) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(text)
    return value
