"""What both backends need: the form as the page wants it, visitors, and sentences."""

from __future__ import annotations

import re
import secrets

from collections.abc import Mapping
from typing import Any

from files import files_of, kinds_of

from dify_workflow_async import WorkflowClient
from dify_workflow_async.errors import InvalidInputs
from dify_workflow_async.models import InputVariable
from dify_workflow_async.relay import sentence_of


VISITOR = "visitor"
"""The cookie by which visitors are told apart: Dify sees it as the end user."""

COOKIE: dict[str, Any] = {"httponly": True, "samesite": "lax", "max_age": 30 * 86400}


def visitor_of(cookies: Mapping[str, str]) -> str:
    """Who asks: a random id, which says nothing of the person, and nobody can guess.

    A cookie that we did not make counts for none, lest a visitor be one of Dify's other
    end users, whose files are theirs alone.
    """
    known = cookies.get(VISITOR, "")
    is_ours = re.fullmatch("visitor-[0-9a-f]{32}", known)
    return known if is_ours else f"visitor-{secrets.token_hex(16)}"


async def form_of(client: WorkflowClient) -> dict[str, Any]:
    """What the page makes its form of."""
    parameters, info = await client.parameters(), await client.info()
    shown = (each for each in parameters.user_input_form if not each.hide)
    return {
        "name": info.name or "Workflow",
        "description": info.description or "",
        "fields": [field_of(each) for each in shown],
        "kinds": kinds_of(parameters),
    }


def field_of(variable: InputVariable) -> dict[str, Any]:
    """One field of the form."""
    return {
        "name": variable.variable,
        "type": variable.type,
        "label": variable.label or variable.variable,
        "hint": variable.hint or variable.description or "",
        "placeholder": variable.placeholder or "",
        "required": bool(variable.required),
        "default": variable.default,
        "maxLength": variable.max_length,
        "options": list(variable.options),
        "files": files_of(variable),
    }


def tell(error: BaseException) -> str:
    """A sentence: of inputs, which are the visitor's own, what is wrong with them."""
    if isinstance(error, InvalidInputs):
        return f"Please correct this: {'; '.join(error.problems)}."
    return sentence_of(error)
