"""What differs between the versions of Dify, all in one place.

Up to 1.12 a streaming run executes inside the process that answers the request;
since 1.13 a worker executes it, and the answer only relays what the worker says.
Most differences follow from that. Each property names one of them, so that the
rest of the server never compares version numbers.
"""

import re

from typing import Final

import attrs


_WORKER: Final = (1, 13)
_REATTACH: Final = (1, 14)
_GUARDED_FILES: Final = (1, 14)
_PROBE: Final = (1, 15)
_SPEECH_CODE: Final = (1, 16)

_VERSION = re.compile(r"(\d+)\.(\d+)(?:\.(\d+))?(?:[^\d].*)?")


@attrs.frozen
class Dialect:
    """The behaviour of one version of the server.

    Args:
        version: The text of the ``X-Version`` header, such as ``1.14.2``.

    Raises:
        ValueError: The version does not begin with two numbers.
    """

    version: str
    _number: tuple[int, ...] = attrs.field(init=False, repr=False, eq=False)

    def __attrs_post_init__(self) -> None:
        match = _VERSION.fullmatch(self.version)
        if match is None:
            message = f"not a version of Dify: {self.version!r} (such as '1.14.2')"
            raise ValueError(message)
        number = tuple(int(part or 0) for part in match.groups())
        object.__setattr__(self, "_number", number)

    @property
    def runs_in_worker(self) -> bool:
        """Whether a worker executes streaming runs."""
        return self._number >= _WORKER

    @property
    def pings_first(self) -> bool:
        """Whether a ping precedes the first event of a stream."""
        return self.runs_in_worker

    @property
    def checks_inputs_in_stream(self) -> bool:
        """Whether wrong inputs of a streaming run become an event under HTTP 200."""
        return self.runs_in_worker

    @property
    def holds_stream_after_error(self) -> bool:
        """Whether a stream stays open and silent after an ``error`` event."""
        return self.runs_in_worker

    @property
    def speaks_after_end(self) -> bool:
        """Whether speech goes on after ``workflow_finished``."""
        return not self.runs_in_worker

    @property
    def announces_pause(self) -> bool:
        """Whether a pause is told; older servers just ping on."""
        return self.runs_in_worker

    @property
    def gives_reason(self) -> bool:
        """Whether ``workflow_started`` has a ``reason``."""
        return self.runs_in_worker

    @property
    def start_shows_system_variables(self) -> bool:
        """Whether the Start node's inputs and outputs contain ``sys.*``."""
        return not self.runs_in_worker

    @property
    def forgets_stopped_runs(self) -> bool:
        """Whether the run detail says ``running`` for ever after a stop."""
        return not self.runs_in_worker

    @property
    def outputs_as_text(self) -> bool:
        """Whether the run detail has its outputs as JSON text, not as an object."""
        return not self.runs_in_worker

    @property
    def unknown_run_is_null(self) -> bool:
        """Whether the detail of an unknown run is 200 with nulls, not 404."""
        return not self.runs_in_worker

    @property
    def reattaches(self) -> bool:
        """Whether forms are answered, and runs that go on followed, by this API."""
        return self._number >= _REATTACH

    @property
    def stores_timestamp_early(self) -> bool:
        """Whether ``sys.timestamp`` comes before ``sys.workflow_id`` in a record."""
        return self.runs_in_worker

    @property
    def has_file_references(self) -> bool:
        """Whether files have an opaque ``reference``, and no ``tenant_id``."""
        return self._number >= _GUARDED_FILES

    @property
    def guards_files(self) -> bool:
        """Whether a run may only use files that its own end user uploaded."""
        return self._number >= _GUARDED_FILES

    @property
    def too_large_message(self) -> str:
        """What is said of a file that is too large."""
        return "" if self.runs_in_worker else "File size exceeded. {message}"

    @property
    def tells_end_users(self) -> bool:
        """Whether ``/end-users`` exists."""
        return self.runs_in_worker

    @property
    def names_speech_disabled(self) -> bool:
        """Whether speech to text that is off has an error code of its own."""
        return self._number >= _SPEECH_CODE

    @property
    def answers_probe(self) -> bool:
        """Whether ``GET /v1/`` tells the version; before, it is an HTML 404."""
        return self._number >= _PROBE

    @property
    def close_delay(self) -> float:
        """Seconds from the last event to the end of the body."""
        return 1.0 if self.runs_in_worker else 0.0

    @property
    def keepalive_timeout(self) -> float:
        """Seconds that an idle connection is kept."""
        # gunicorn's default up to 1.12; newer servers kept it for longer than
        # the 90 s that were watched.
        return 120.0 if self.runs_in_worker else 2.0

    @property
    def headers(self) -> dict[str, str]:
        """The headers of every answer."""
        own = {"X-Version": self.version, "X-Env": "PRODUCTION"}
        if self.runs_in_worker:
            return own | {"Vary": "Cookie"}
        return own | {"Server": "gunicorn", "Connection": "keep-alive"}
