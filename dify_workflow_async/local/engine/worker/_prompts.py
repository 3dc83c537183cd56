"""What the engine's nodes need beside a model: prompts as they are told, templates."""

from collections.abc import Mapping, Sequence
from typing import Any

from graphon.model_runtime.entities.llm_entities import LLMMode
from graphon.model_runtime.entities.message_entities import (
    MultiModalPromptMessageContent,
    PromptMessage,
)
from graphon.nodes.llm.runtime_protocols import PromptMessageSerializerProtocol
from graphon.template_rendering import Jinja2TemplateRenderer, TemplateRenderError
from jinja2 import TemplateError
from jinja2.sandbox import SandboxedEnvironment


class PromptTeller(PromptMessageSerializerProtocol):
    """Writes prompts down as the events of the servers show them."""

    def serialize(
        self, *, model_mode: LLMMode, prompt_messages: Sequence[PromptMessage]
    ) -> list[dict[str, Any]]:
        """Tell a prompt: role, text and files of each message."""
        del model_mode
        return [
            {
                "role": message.role.value,
                "text": message.get_text_content(),
                "files": _files(message),
            }
            for message in prompt_messages
        ]


def _files(message: PromptMessage) -> list[dict[str, Any]]:
    if isinstance(message.content, str) or message.content is None:
        return []
    return [
        {"type": part.type.value, "data": f"{part.data[:10]}...[TRUNCATED]..."}
        for part in message.content
        if isinstance(part, MultiModalPromptMessageContent)
    ]


class Templates(Jinja2TemplateRenderer):
    """Renders templates as the servers do: what is not defined is empty."""

    def __init__(self) -> None:
        self._environment = SandboxedEnvironment(autoescape=False)

    def render_template(self, template: str, variables: Mapping[str, Any]) -> str:
        """Render a template.

        Raises:
            TemplateRenderError: It cannot be rendered.
        """
        try:
            return self._environment.from_string(template).render(**variables)
        except (TemplateError, ArithmeticError, TypeError, ValueError) as exc:
            raise TemplateRenderError(str(exc)) from exc
