"""What can go wrong in what the server is given, and in what it is asked.

.. code-block:: text

    ValueError
     +-- ScenarioError    a scenario's description is wrong
     +-- DslError         an exported app cannot run on the engine
     +-- RecordingError   a file is not a recording
     +-- FormRefused      a form does not take an answer
    Exception
     +-- RequestRefused   a request is answered with an error
     +-- NodeFailed       a scripted node failed, and the run with it
     +-- ErrorSent        a script sent an ``error`` event, which ends its run

Only the first four reach users of the package.
"""

from collections.abc import Mapping


class ScenarioError(ValueError):
    """Raised when the description of a scenario is wrong.

    Args:
        path: Where the fault is, such as ``steps[2].node.type``; empty for the
            description as a whole.
        problem: What is wrong there, as a sentence without a full stop.
    """

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(path, problem)
        self.path = path
        self.problem = problem

    def __str__(self) -> str:
        return f"{self.path or 'scenario'}: {self.problem}"


class DslError(ValueError):
    """Raised when an app that Dify exported cannot run on the engine.

    Args:
        path: Where the fault is, such as ``node 'llm'``; empty for the app as a
            whole.
        problem: What is wrong there, as a sentence without a full stop.
    """

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(path, problem)
        self.path = path
        self.problem = problem

    def __str__(self) -> str:
        return f"{self.path or 'DSL'}: {self.problem}"


class RecordingError(ValueError):
    """Raised when a file cannot be played because it is no recorded response."""


class FormRefused(ValueError):
    """Raised when a form does not take an answer.

    Args:
        status: The HTTP status of it.
        code: The error's code.
        message: The error's message.
    """

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


class RequestRefused(Exception):
    """Raised when a request is answered with an error.

    Args:
        status: The HTTP status.
        code: The error's code.
        message: The error's message.
        headers: Headers that only this answer has.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(status, code, message)
        self.status = status
        self.code = code
        self.message = message
        self.headers = dict(headers or {})


class NodeFailed(Exception):
    """Raised when a node fails and nothing deals with it."""


class ErrorSent(Exception):
    """Raised when a script has sent an ``error`` event."""
