"""The root of the tree, and the program's own mistakes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar


E = TypeVar("E", bound="DifyError")


class DifyError(Exception):
    """The root of all errors of this package.

    Attributes:
        message: what happened, in a sentence.
        status: the HTTP status, or the one that an ``error`` event names.
        code: Dify's word for the error, such as ``"invalid_param"``; an open set.
        run_id: the workflow run that the error belongs to.
        task_id: the task by which that run can be stopped.
        request: method and URL, without its query.
        headers: the headers of the answer.
        retry_after: seconds that the server asks to wait.
        safe_to_repeat: True if nothing was started and repeating the call may help.
    """

    safe_to_repeat: bool = False

    def __init__(
        self,
        message: str = "",
        *,
        status: int | None = None,
        code: str | None = None,
        run_id: str | None = None,
        task_id: str | None = None,
        request: str | None = None,
        headers: Mapping[str, str] | None = None,
        retry_after: float | None = None,
        safe_to_repeat: bool | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.code = code
        self.run_id = run_id
        self.task_id = task_id
        self.request = request
        self.headers = headers
        self.retry_after = retry_after
        if safe_to_repeat is not None:
            self.safe_to_repeat = safe_to_repeat

    @property
    def server_version(self) -> str | None:
        """The version of Dify that answered (header ``X-Version``)."""
        return self._header("x-version")

    @property
    def trace_id(self) -> str | None:
        """The server's trace id (header ``X-Trace-Id``)."""
        return self._header("x-trace-id")

    def _header(self, name: str) -> str | None:
        for key, value in (self.headers or {}).items():
            if key.lower() == name:
                return value
        return None

    def reword(self, message: str) -> None:
        """Tell *message* instead; all else stays."""
        self.message, self.args = message, (message, *self.args[1:])

    def become(self, cls: type[E]) -> E:
        """The same error as one of another class."""
        error = cls.__new__(cls, *self.args)
        error.args = self.args
        error.__dict__.update(self.__dict__)
        return error

    def __str__(self) -> str:
        answer = " ".join(str(x) for x in (self.status, self.code) if x is not None)
        run = f"run {self.run_id}" if self.run_id else ""
        context = "; ".join(x for x in (answer, self.request, run) if x)
        return f"{self.message} [{context}]" if context else self.message

    def __reduce__(self) -> tuple[Any, ...]:
        # Exception's own would call __init__ without its keyword arguments.
        return _rebuild, (type(self), self.args, self.__dict__.copy())


def _rebuild(
    cls: type[DifyError], args: tuple[Any, ...], state: dict[str, Any]
) -> DifyError:
    error = cls.__new__(cls, *args)
    error.args = args  # an OSError, as time-outs are, sets them in __init__
    error.__dict__.update(state)
    return error


class UsageError(DifyError, RuntimeError):
    """Raised when the client is used in a way that cannot work."""


class ConfigurationError(UsageError, ValueError):
    """Raised when a setting is missing or wrong, before anything is sent."""


class InvalidInputs(UsageError, ValueError):
    """Raised when inputs cannot be sent, before anything is sent.

    Attributes:
        problems: one sentence for each fault, beginning with its path.
    """

    def __init__(self, problems: Sequence[str], **context: Any) -> None:
        super().__init__("; ".join(problems), **context)
        self.problems = tuple(problems)


class TableError(UsageError, ValueError):
    """Raised when a table cannot be read, written, or made inputs of.

    Attributes:
        path: of the file.
        line: of the file, from 1, where the fault is; None where there are no lines.
    """

    def __init__(
        self,
        message: str = "",
        *,
        path: str = "",
        line: int | None = None,
        **context: Any,
    ) -> None:
        where = f"{path}, line {line}" if line is not None else path
        super().__init__(f"{where}: {message}" if where else message, **context)
        self.path = path
        self.line = line


class ClientClosed(UsageError):
    """Raised when a client is used after its ``aclose()``."""


class WrongLoop(UsageError):
    """Raised when a client is used in another event loop, or after a fork."""


class StreamBusy(UsageError):
    """Raised when a stream that has a consumer already gets a second one."""


class NotRelayed(UsageError):
    """Raised when a relay hub knows no such run, or forgot it some time after its end."""


class CannotStop(UsageError):
    """Raised when a run cannot be stopped, since its task id is not known."""


class InsecureConnectionWarning(UserWarning):
    """Warns that the API key travels unencrypted: ``http://`` to another machine.

    Once for each server and process. Where that is meant to be so, switch it off:
    ``warnings.simplefilter("ignore", InsecureConnectionWarning)``.
    """
