"""The app: what it asks for, how it presents itself, who uses it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import attrs

from ._base import Value, raw_field


@attrs.frozen(kw_only=True, repr=False, eq=False)
class InputVariable(Value):
    """An input of the workflow, and how to ask for it (specification, section 1.12).

    Attributes:
        type: the control: ``text-input``, ``paragraph``, ``select``, ``number``,
            ``checkbox``, ``file``, ``file-list``, ``json_object``; an open set.
        variable: the name by which ``run()`` takes the value.
        label: what to show to people.
        default: any JSON, by the type.
        max_length: characters of a text, or files of a list.
        options: of a select.
        allowed_file_types: ``image``, ``document``, ``audio``, ``video``, ``custom``.
        allowed_file_extensions: of type ``custom``, with their dot.
        allowed_file_upload_methods: ``local_file`` and ``remote_url``.
        json_schema: of a JSON object, decoded where the server sends text.
    """

    type: str | None = None
    variable: str | None = None
    label: str | None = None
    required: bool | None = None
    default: Any = None
    max_length: int | None = None
    options: tuple[str, ...] = ()
    hide: bool | None = None
    description: str | None = None
    placeholder: str | None = None
    hint: str | None = None
    unit: str | None = None
    allowed_file_types: tuple[str, ...] = ()
    allowed_file_extensions: tuple[str, ...] = ()
    allowed_file_upload_methods: tuple[str, ...] = ()
    json_schema: Mapping[str, Any] | None = None
    config: Mapping[str, Any] | None = None
    raw: Mapping[str, Any] = raw_field()


@attrs.frozen(kw_only=True, repr=False, eq=False)
class FileUploadSettings(Value):
    """Which files a run takes beside its inputs (specification, section 1.12).

    Attributes:
        enabled: None where the server only knows the older ``image``.
        number_limits: how many files.
        allowed_file_types: ``image``, ``document``, ``audio``, ``video``, ``custom``.
        allowed_file_extensions: of type ``custom``, with their dot.
        allowed_file_upload_methods: ``local_file`` and ``remote_url``.
        image: the older setting: ``enabled``, ``number_limits``, ``detail`` and
            ``transfer_methods``.
    """

    enabled: bool | None = None
    number_limits: int | None = None
    allowed_file_types: tuple[str, ...] = ()
    allowed_file_extensions: tuple[str, ...] = ()
    allowed_file_upload_methods: tuple[str, ...] = ()
    image: Mapping[str, Any] | None = None
    raw: Mapping[str, Any] = raw_field()


@attrs.frozen(kw_only=True, repr=False, eq=False)
class SystemParameters(Value):
    """The server's limits (specification, section 1.12).

    Attributes:
        file_size_limit: MB, of files that are none of the following.
        image_file_size_limit: MB.
        audio_file_size_limit: MB.
        video_file_size_limit: MB.
        workflow_file_upload_limit: how many files a list may ask for.
    """

    file_size_limit: int | None = None
    image_file_size_limit: int | None = None
    audio_file_size_limit: int | None = None
    video_file_size_limit: int | None = None
    workflow_file_upload_limit: int | None = None
    raw: Mapping[str, Any] = raw_field()


@attrs.frozen(kw_only=True, repr=False, eq=False)
class Parameters(Value):
    """What an app asks for and what it can do (specification, section 1.12).

    The features are objects with ``enabled`` and settings of their own.

    Attributes:
        user_input_form: the inputs, in the order of the form.
        system_parameters: the server's limits.
    """

    user_input_form: tuple[InputVariable, ...] = ()
    file_upload: FileUploadSettings | None = None
    system_parameters: SystemParameters | None = None
    opening_statement: str | None = None
    suggested_questions: tuple[str, ...] = ()
    suggested_questions_after_answer: Mapping[str, Any] | None = None
    speech_to_text: Mapping[str, Any] | None = None
    text_to_speech: Mapping[str, Any] | None = None
    retriever_resource: Mapping[str, Any] | None = None
    annotation_reply: Mapping[str, Any] | None = None
    more_like_this: Mapping[str, Any] | None = None
    sensitive_word_avoidance: Mapping[str, Any] | None = None
    raw: Mapping[str, Any] = raw_field()


@attrs.frozen(kw_only=True, repr=False, eq=False)
class AppInfo(Value):
    """What an app is (specification, section 1.13).

    Attributes:
        mode: ``workflow`` for a Workflow app; servers before 1.4 do not tell.
    """

    name: str | None = None
    description: str | None = None
    tags: tuple[str, ...] = ()
    mode: str | None = None
    author_name: str | None = None
    raw: Mapping[str, Any] = raw_field()


@attrs.frozen(kw_only=True, repr=False, eq=False)
class Site(Value):
    """How an app presents itself on its web page (specification, section 1.13).

    Attributes:
        icon_type: ``emoji``, ``image`` or another.
        icon: the emoji, or the id of the image.
        icon_background: a colour, such as ``"#FFEAD5"``.
        icon_url: of an image; signed, so it expires.
        default_language: such as ``"en-US"``.
    """

    title: str | None = None
    chat_color_theme: str | None = None
    chat_color_theme_inverted: bool | None = None
    icon_type: str | None = None
    icon: str | None = None
    icon_background: str | None = None
    icon_url: str | None = None
    description: str | None = None
    copyright: str | None = None
    privacy_policy: str | None = None
    input_placeholder: str | None = None
    custom_disclaimer: str | None = None
    default_language: str | None = None
    show_workflow_steps: bool | None = None
    use_icon_as_answer_icon: bool | None = None
    raw: Mapping[str, Any] = raw_field()


@attrs.frozen(kw_only=True, repr=False, eq=False)
class Meta(Value):
    """The icons of an app's tools (specification, section 1.13).

    Attributes:
        tool_icons: by the tool's name: a URL, or an object with ``background`` and
            ``content``; other shapes are possible.
    """

    tool_icons: Mapping[str, Any] = attrs.field(factory=dict[str, Any])
    raw: Mapping[str, Any] = raw_field()


@attrs.frozen(kw_only=True, repr=False, eq=False)
class ServerInfo(Value):
    """What the server says of itself (specification, section 1.15).

    Attributes:
        server_version: such as ``"1.14.2"``; forks may say anything.
    """

    welcome: str | None = None
    api_version: str | None = None
    server_version: str | None = None
    raw: Mapping[str, Any] = raw_field()


@attrs.frozen(kw_only=True, repr=False, eq=False)
class EndUser(Value):
    """One of those whom an app is run for (specification, section 1.15).

    Attributes:
        id: the server's own; ``session_id`` is the ``user`` that was sent.
        type: such as ``service-api``.
    """

    id: str | None = None
    tenant_id: str | None = None
    app_id: str | None = None
    type: str | None = None
    external_user_id: str | None = None
    name: str | None = None
    is_anonymous: bool | None = None
    session_id: str | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None
    raw: Mapping[str, Any] = raw_field()
