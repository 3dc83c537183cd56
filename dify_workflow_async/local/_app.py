"""App: an API key and what answers to it."""

import secrets

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, Self, TypeAlias

import attrs

from ._ids import new_id
from ._life import StopStatus
from ._replay import Replay
from ._scenario import Scenario, Variable
from ._sound import Audio, Transcript, read_audio
from .engine import CodeLimits, Model, Workflow


Behaviour: TypeAlias = Scenario | Replay | Workflow


def _new_key() -> str:
    return f"app-local-{secrets.token_hex(8)}"


def _now() -> str:
    return str(datetime.now(UTC).replace(tzinfo=None))


def _texts(value: Iterable[str]) -> tuple[str, ...]:
    return tuple(value)


@attrs.define(eq=False)
class App:
    """One app of a server.

    Args:
        behaviour: What a run does: a scenario that is played, a recording that is
            replayed, or a workflow that runs on Dify's engine. May be replaced while
            the server runs.
        key: The API key.
        name: The app's name.
        description: What the app says about itself.
        tags: The app's tags.
        mode: The kind of app; all but ``workflow`` refuse to run.
        author_name: Who made it.
        site: Keys of ``/site`` that replace the usual ones; ``None`` if the app has
            no site, which is answered with an error.
        tool_icons: The icons that ``/meta`` tells, by tool.
        parameters: Keys of ``/parameters`` that replace the usual ones. What is told
            there also holds, such as limits and whether files may be attached.
        limits: Keys of its ``system_parameters`` that replace the usual ones, such
            as ``file_size_limit``; in MB.
        blocked_extensions: Extensions of files that may not be uploaded, without the
            dot.
        serves_previews: Whether ``/files/{id}/preview`` gives the files of the app.
            It does for chat apps; for workflow apps it knows no file.
        transcript: What speech is heard as: a text, a function of the audio, or an
            error. Without one it is not enabled.
        speech: What text sounds like: MP3, in one piece or in those that are sent,
            or an error. Without one it is not enabled.
        stop_status: What the stream of a stopped run says on 1.13 and newer:
            ``stopped``, or ``failed`` with "Aborted: User requested stop".
        max_active_requests: How many runs of its scenario may go on at a time;
            ``None`` is without limit, and 0 refuses every run, unlike in Dify.
            Runs that wait for a person do not count from 1.13 on. What real servers
            of 1.13 and newer were seen to count in streaming mode (#35895) is not
            imitated.
        busy_status: The status of a run that is refused because of that limit: 400
            with ``invalid_param``, as real servers were seen to answer, or 429 with
            ``too_many_requests``, as their documentation says.
        quota: How many runs are still paid for; each takes one, and further ones are
            refused with 429 and ``rate_limit_error``. ``None`` is without limit.
        retry_after: The seconds in a ``Retry-After`` header of every 429; ``None``
            sends none, as real servers do.
        id: The id of the app, which only ``sys.app_id`` tells.
        workflow_id: The id of the published workflow.
        workflow_version: The version of it that the logs tell, the time when it was
            published.
    """

    behaviour: Behaviour
    key: str = attrs.field(factory=_new_key, kw_only=True, repr=False)

    # What /info tells
    name: str = attrs.field(default="local", kw_only=True)
    description: str = attrs.field(default="", kw_only=True)
    tags: tuple[str, ...] = attrs.field(default=(), converter=_texts, kw_only=True)
    mode: str = attrs.field(default="workflow", kw_only=True)
    author_name: str = attrs.field(default="local", kw_only=True)

    # What /site and /meta tell
    site: Mapping[str, Any] | None = attrs.field(factory=dict[str, Any], kw_only=True)
    tool_icons: Mapping[str, Any] = attrs.field(factory=dict[str, Any], kw_only=True)

    # Files and sound
    limits: Mapping[str, float] = attrs.field(factory=dict[str, float], kw_only=True)
    blocked_extensions: tuple[str, ...] = attrs.field(
        default=(), converter=_texts, kw_only=True
    )
    serves_previews: bool = attrs.field(default=False, kw_only=True)
    transcript: Transcript | None = attrs.field(default=None, kw_only=True)
    speech: Audio | None = attrs.field(default=None, converter=read_audio, kw_only=True)

    # What else it does
    parameters: Mapping[str, Any] = attrs.field(factory=dict[str, Any], kw_only=True)
    stop_status: StopStatus = attrs.field(default="stopped", kw_only=True)
    id: str = attrs.field(factory=new_id, kw_only=True)
    workflow_id: str = attrs.field(factory=new_id, kw_only=True)
    workflow_version: str = attrs.field(factory=_now, kw_only=True)

    # What it refuses
    max_active_requests: int | None = attrs.field(default=None, kw_only=True)
    busy_status: Literal[400, 429] = attrs.field(default=400, kw_only=True)
    quota: int | None = attrs.field(default=None, kw_only=True)
    retry_after: int | None = attrs.field(default=None, kw_only=True)

    @classmethod
    def from_dsl(
        cls,
        source: str | Path,
        *,
        model: Model | None = None,
        code: CodeLimits | None = None,
        **options: Any,
    ) -> Self:
        """Make an app of one that Dify exported, to run on Dify's own engine.

        Args:
            source: A path, or the YAML text itself; see `Workflow.from_dsl`.
            model: What answers the nodes that ask a language model; a stub that
                echoes if not given.
            code: The limits of ``code`` nodes.
            options: Anything that this class takes, such as ``key``, instead of what
                the exported app says.

        Raises:
            DslError: It is no workflow app, or has nodes that do not run here.
            ModuleNotFoundError: The engine, or PyYAML, is not installed.
            OSError: The file cannot be read.
        """
        workflow = Workflow.from_dsl(source, model=model, code=code)
        usual: dict[str, Any] = {
            "name": workflow.name,
            "description": workflow.description,
            "parameters": workflow.features,
            "site": {
                "icon": workflow.icon,
                "icon_background": workflow.icon_background,
            },
        }
        return cls(workflow, **(usual | options))

    @property
    def variables(self) -> tuple[Variable, ...] | None:
        """The Start node's variables; ``None`` if anything is accepted."""
        return None if isinstance(self.behaviour, Replay) else self.behaviour.inputs
