"""What ``/parameters`` tells of an app, which is also what the server enforces."""

from collections.abc import Mapping
from typing import Any, Final

from ._app import App
from ._json import is_object
from ._scenario import Variable


_LIMITS: Final[Mapping[str, float]] = {
    "image_file_size_limit": 10,
    "video_file_size_limit": 100,
    "audio_file_size_limit": 50,
    "file_size_limit": 15,
    "workflow_file_upload_limit": 10,
}


def parameters_of(app: App) -> dict[str, Any]:
    """Tell the form of an app's inputs, its features and its limits (1.12)."""
    methods = ["local_file", "remote_url"]
    image = {"enabled": False, "number_limits": 3, "transfer_methods": methods}
    usual = {
        "opening_statement": "",
        "suggested_questions": [],
        "suggested_questions_after_answer": {"enabled": False},
        "speech_to_text": {"enabled": app.transcript is not None},
        "text_to_speech": {
            "enabled": app.speech is not None,
            "language": "",
            "voice": "",
        },
        "retriever_resource": {"enabled": True},
        "annotation_reply": {"enabled": False},
        "more_like_this": {"enabled": False},
        "user_input_form": [_control(variable) for variable in app.variables or ()],
        "sensitive_word_avoidance": {"enabled": False},
        "file_upload": {
            "allowed_file_extensions": [],
            "allowed_file_types": ["image"],
            "allowed_file_upload_methods": methods,
            "enabled": False,
            "image": image,
            "number_limits": 3,
        },
        "system_parameters": {**_LIMITS, **app.limits},
    }
    return usual | dict(app.parameters)


def limits_of(app: App) -> dict[str, Any]:
    """Tell the limits that hold, also those that were left out of what is told."""
    return {**_LIMITS, **app.limits, **_told(app, "system_parameters")}


def file_upload_of(app: App) -> Mapping[str, Any]:
    """Tell how files may come beside the inputs."""
    return _told(app, "file_upload")


def is_enabled(app: App, feature: str) -> bool:
    """Tell whether a feature of ``/parameters`` is on."""
    return bool(_told(app, feature).get("enabled"))


def _told(app: App, key: str) -> Mapping[str, Any]:
    """Tell one object of the parameters, empty if it was replaced by none."""
    value = parameters_of(app)[key]
    return value if is_object(value) else {}


def _control(variable: Variable) -> dict[str, Any]:
    """Describe a variable: one key, its type, with what the Start node stores."""
    control: dict[str, Any] = {}
    if variable.type in ("file", "file-list"):
        control["allowed_file_extensions"] = list(variable.allowed_file_extensions)
        control["allowed_file_types"] = list(variable.allowed_file_types)
        methods = variable.allowed_file_upload_methods
        control["allowed_file_upload_methods"] = list(methods)
    if variable.default is not None:
        control["default"] = variable.default
    control |= {
        "label": variable.label,
        "max_length": variable.max_length,
        "options": list(variable.options),
        "required": variable.required,
        "type": variable.type,
        "variable": variable.variable,
    }
    return {variable.type: control}
