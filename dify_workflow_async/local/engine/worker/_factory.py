"""NodeFactory: makes the nodes of a graph, with what they need of the outside."""

import threading

from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final, Self

import attrs

from graphon.dsl.entities import DslCodeSettings
from graphon.entities.graph_config import NodeConfigDict
from graphon.enums import BuiltinNodeTypes, NodeExecutionType
from graphon.file.file_manager import file_manager
from graphon.graph.graph import NodeFactory as NodeFactoryProtocol
from graphon.nodes.answer.answer_node import AnswerNode
from graphon.nodes.base.node import Node
from graphon.nodes.code.code_node import CodeNode
from graphon.nodes.code.limits import CodeNodeLimits
from graphon.nodes.end.end_node import EndNode
from graphon.nodes.http_request.config import build_http_request_config
from graphon.nodes.http_request.node import (
    HttpRequestNode,
    HttpRequestNodeDependencies,
)
from graphon.nodes.human_input.human_input_node import HumanInputNode
from graphon.nodes.if_else.if_else_node import IfElseNode
from graphon.nodes.iteration.iteration_node import IterationNode
from graphon.nodes.iteration.iteration_start_node import IterationStartNode
from graphon.nodes.list_operator.node import ListOperatorNode
from graphon.nodes.llm import LLMNode
from graphon.nodes.llm.file_saver import FileSaverImpl
from graphon.nodes.loop.loop_end_node import LoopEndNode
from graphon.nodes.loop.loop_node import LoopNode
from graphon.nodes.loop.loop_start_node import LoopStartNode
from graphon.nodes.parameter_extractor.parameter_extractor_node import (
    ParameterExtractorNode,
)
from graphon.nodes.question_classifier import (
    QuestionClassifierNode,
    QuestionClassifierNodeDependencies,
)
from graphon.nodes.start import StartNode
from graphon.nodes.template_transform.template_transform_node import (
    TemplateTransformNode,
)
from graphon.nodes.variable_aggregator.variable_aggregator_node import (
    VariableAggregatorNode,
)
from graphon.nodes.variable_assigner.v1.node import (
    VariableAssignerNode as VariableAssignerNodeV1,
)
from graphon.nodes.variable_assigner.v2.node import (
    VariableAssignerNode as VariableAssignerNodeV2,
)
from graphon.runtime.init_params import InitParams
from graphon.runtime.runtime_state import RuntimeState

from ._code import code_executor
from ._files import Files
from ._human import HumanForms
from ._model import TextModel
from ._openai_model import OpenAIModel
from ._prompts import PromptTeller, Templates
from ._stub_model import StubModel


# Of a template, in characters; a server's operator sets it, and a megabyte of text was
# seen to pass.
_LONGEST_TEXT: Final = 4_000_000

_CLASSES: Final[Mapping[str, type[Node[Any]]]] = {
    BuiltinNodeTypes.START: StartNode,
    BuiltinNodeTypes.END: EndNode,
    BuiltinNodeTypes.ANSWER: AnswerNode,
    BuiltinNodeTypes.IF_ELSE: IfElseNode,
    BuiltinNodeTypes.ITERATION: IterationNode,
    BuiltinNodeTypes.ITERATION_START: IterationStartNode,
    BuiltinNodeTypes.LOOP: LoopNode,
    BuiltinNodeTypes.LOOP_START: LoopStartNode,
    BuiltinNodeTypes.LOOP_END: LoopEndNode,
    BuiltinNodeTypes.TEMPLATE_TRANSFORM: TemplateTransformNode,
    BuiltinNodeTypes.CODE: CodeNode,
    BuiltinNodeTypes.LLM: LLMNode,
    BuiltinNodeTypes.HTTP_REQUEST: HttpRequestNode,
    BuiltinNodeTypes.HUMAN_INPUT: HumanInputNode,
    BuiltinNodeTypes.VARIABLE_AGGREGATOR: VariableAggregatorNode,
    BuiltinNodeTypes.LEGACY_VARIABLE_AGGREGATOR: VariableAggregatorNode,
    BuiltinNodeTypes.LIST_OPERATOR: ListOperatorNode,
    BuiltinNodeTypes.QUESTION_CLASSIFIER: QuestionClassifierNode,
    BuiltinNodeTypes.PARAMETER_EXTRACTOR: ParameterExtractorNode,
}


@attrs.frozen(kw_only=True)
class Surroundings:
    """What the nodes of one run share.

    Args:
        settings: The values of the server's settings: ``model`` and ``code``.
        models: The ``model`` of each node as the DSL has it; the engine's reader
            shortens the provider's name.
        files: The files of the run.
        forms: The forms of the run.
        stopping: Whether the run is being stopped.
        calls: How often each node has asked a model.
    """

    settings: Mapping[str, Any]
    models: Mapping[str, Mapping[str, Any]]
    files: Files
    forms: HumanForms
    stopping: threading.Event
    calls: Counter[str] = attrs.field(factory=Counter[str])

    def model(self, node_id: str) -> TextModel:
        """Make the model of a node."""
        data, settings = self.models[node_id], self.settings["model"]
        if settings["kind"] == "OpenAIModel":
            return OpenAIModel(data, endpoint=settings, stopping=self.stopping)
        return StubModel(
            data,
            node_id=node_id,
            script=settings,
            calls=self.calls,
            stopping=self.stopping,
        )

    def file_saver(self) -> FileSaverImpl:
        """Make what keeps the files that models answer with."""
        return FileSaverImpl(
            tool_file_manager=self.files, file_reference_factory=self.files
        )


@attrs.frozen(kw_only=True)
class NodeFactory(NodeFactoryProtocol):
    """Makes nodes for one frame of a run: the graph itself, or a lap of a container.

    Args:
        init_params: What stays the same during a run.
        runtime_state: What changes in it.
        surroundings: What the nodes need of the outside.
    """

    init_params: InitParams
    runtime_state: RuntimeState
    surroundings: Surroundings

    def with_runtime_state(self, runtime_state: RuntimeState) -> Self:
        """Make a factory for another frame."""
        return attrs.evolve(self, runtime_state=runtime_state)

    def with_graph_config(self, graph_config: Mapping[str, Any]) -> Self:
        """Make a factory for another part of the graph."""
        update = {"graph_config": graph_config}
        return attrs.evolve(
            self, init_params=self.init_params.model_copy(update=update)
        )

    def validate_node(self, node_config: NodeConfigDict) -> NodeExecutionType:
        """Check what the DSL says of a node.

        Raises:
            ValueError: It is wrong.
        """
        cls = _class_of(node_config)
        try:
            cls.validate_node_data(node_config["data"])
        except ValueError as exc:
            node_id, kind = node_config["id"], node_config["data"].type
            message = f"node {node_id!r} ({kind}): {exc}"
            raise ValueError(message) from exc
        return cls.execution_type

    def create_node(self, node_config: NodeConfigDict) -> Node[Any]:
        """Make a node."""
        cls, data = _class_of(node_config), node_config["data"]
        extra = _NEEDS.get(cls.node_type)
        return cls(
            node_id=node_config["id"],
            data=cls.validate_node_data(data),
            init_params=self.init_params,
            runtime_state=self.runtime_state,
            **(extra(node_config, self.surroundings) if extra else {}),
        )


def _class_of(node_config: NodeConfigDict) -> type[Node[Any]]:
    data = node_config["data"]
    if data.type == BuiltinNodeTypes.VARIABLE_ASSIGNER:
        is_new = str(data.version) == "2" or "items" in (data.model_extra or {})
        return VariableAssignerNodeV2 if is_new else VariableAssignerNodeV1
    if data.type == BuiltinNodeTypes.DOCUMENT_EXTRACTOR:
        # It alone needs pandas and its like, a second of imports.
        from graphon.nodes.document_extractor import DocumentExtractorNode

        return DocumentExtractorNode
    if data.type not in _CLASSES:
        message = f"node {node_config['id']!r}: {data.type!r} does not run here"
        raise ValueError(message)
    return _CLASSES[data.type]


_Needs = Callable[[NodeConfigDict, Surroundings], dict[str, Any]]


def _template(config: NodeConfigDict, around: Surroundings) -> dict[str, Any]:
    del config, around
    return {
        "jinja2_template_renderer": Templates(),
        "max_output_length": _LONGEST_TEXT,
    }


def _code(config: NodeConfigDict, around: Surroundings) -> dict[str, Any]:
    del config
    usual = DslCodeSettings().model_dump()
    limits = {name: usual[name] for name in CodeNodeLimits.__dataclass_fields__}
    return {
        "code_executor": code_executor(around.settings["code"], around.stopping),
        "code_limits": CodeNodeLimits(**limits),
    }


def _http_request(config: NodeConfigDict, around: Surroundings) -> dict[str, Any]:
    del config
    return {
        "http_request_config": build_http_request_config(),
        "dependencies": HttpRequestNodeDependencies(
            tool_file_manager_factory=lambda: around.files,
            file_manager=file_manager,
            file_reference_factory=around.files,
        ),
    }


def _human_input(config: NodeConfigDict, around: Surroundings) -> dict[str, Any]:
    data = config["data"].model_dump()
    return {"hitl_callback": partial(around.forms.decide, data)}


def _llm(config: NodeConfigDict, around: Surroundings) -> dict[str, Any]:
    return {
        "model_instance": around.model(config["id"]),
        "llm_file_saver": around.file_saver(),
        "prompt_message_serializer": PromptTeller(),
        "jinja2_template_renderer": Templates(),
    }


def _classifier(config: NodeConfigDict, around: Surroundings) -> dict[str, Any]:
    return {
        "dependencies": QuestionClassifierNodeDependencies(
            model_instance=around.model(config["id"]),
            template_renderer=Templates(),
            llm_file_saver=around.file_saver(),
            prompt_message_serializer=PromptTeller(),
        )
    }


def _extractor(config: NodeConfigDict, around: Surroundings) -> dict[str, Any]:
    return {
        "model_instance": around.model(config["id"]),
        "prompt_message_serializer": PromptTeller(),
    }


_NEEDS: Final[Mapping[str, _Needs]] = {
    BuiltinNodeTypes.TEMPLATE_TRANSFORM: _template,
    BuiltinNodeTypes.CODE: _code,
    BuiltinNodeTypes.HTTP_REQUEST: _http_request,
    BuiltinNodeTypes.HUMAN_INPUT: _human_input,
    BuiltinNodeTypes.LLM: _llm,
    BuiltinNodeTypes.QUESTION_CLASSIFIER: _classifier,
    BuiltinNodeTypes.PARAMETER_EXTRACTOR: _extractor,
}
