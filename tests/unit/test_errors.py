"""Errors form the tree that is drawn, carry what they promise, and pickle."""

from __future__ import annotations

import builtins
import copy
import inspect
import pickle
import re

import pytest

from dify_workflow_async import errors
from dify_workflow_async.errors import (
    APIError,
    ConnectionFailed,
    ConnectTimeout,
    DifyError,
    InvalidInputs,
    JournalMismatch,
    JournalTooNew,
    RunFailed,
    RunInterrupted,
    RunPaused,
    RunStopped,
    TableError,
    Timeout,
    TooManyRequests,
)
from dify_workflow_async.events import NodeFinished
from dify_workflow_async.models import PauseReason, RunResult


CLASSES = [
    cls
    for name in errors.__all__
    if issubclass(cls := getattr(errors, name), DifyError)
]

CONTEXT = {
    "status": 400,
    "code": "invalid_param",
    "run_id": "r",
    "task_id": "t",
    "request": "POST https://host/v1/workflows/run",
    "headers": {"X-Version": "1.12.1", "x-trace-id": "abc"},
    "retry_after": 1.5,
    "safe_to_repeat": True,
}
ATTRIBUTES = {"message", *CONTEXT}

RESULT = RunResult(
    status="failed",
    workflow_run_id="r",
    task_id="t",
    error="boom",
    outputs={"a": [1]},
    paused_nodes=("n",),
    reasons=(PauseReason(type="human_input_required", form_token="x"),),
    raw={"event": "workflow_finished"},
)
NODE = NodeFinished(node_id="n", title="LLM", status="failed", raw={"data": {}})


def make(cls: type[DifyError]) -> DifyError:
    """An error of the class, with all that it can carry."""
    if cls is RunFailed:
        return cls(RESULT, NODE)
    if cls in {RunStopped, RunPaused}:
        return cls(RESULT)
    if cls is InvalidInputs:
        return cls(["a: bad", "b: worse"], **CONTEXT)
    if cls is TableError:
        return cls("no rows", path="a.csv", line=3, **CONTEXT)
    if cls is JournalTooNew:
        return cls(9, 2, **CONTEXT)
    if cls is JournalMismatch:
        return cls({"user": ("ann", "bob")}, **CONTEXT)
    if issubclass(cls, Timeout):
        return cls("too slow", seconds=3.5, **CONTEXT)
    if cls is RunInterrupted:
        return cls("broken", may_be_running=False, events_seen=7, **CONTEXT)
    error = cls("went wrong", **CONTEXT)
    return error.with_result(RESULT) if isinstance(error, APIError) else error


# -- the tree ------------------------------------------------------------------------


def drawn_tree() -> dict[str, str | None]:
    """Each name in the drawing, and the name that it hangs under."""
    tree: dict[str, str | None] = {}
    path: list[str] = []
    for line in errors.__doc__.splitlines():
        if found := re.match(r"    ((?:[│ ]   )*(?:[├└]── )?)([A-Z]\w+)( |$)", line):
            depth = len(found[1]) // 4
            path[depth:] = [found[2]]
            assert len(path) == depth + 1, line
            assert found[2] not in tree
            tree[found[2]] = path[depth - 1] if depth else None
    return tree


def test_tree_is_the_one_that_is_drawn():
    """The drawing in the docstring has every class below its real base."""
    real = {cls.__name__: cls.__bases__[0].__name__ for cls in CLASSES}
    real["DifyError"] = None

    assert drawn_tree() == real


def test_the_root_is_drawn_first():
    """Everything hangs under `DifyError`."""
    tree = drawn_tree()

    assert next(iter(tree.items())) == ("DifyError", None)
    assert list(tree.values()).count(None) == 1


def subclasses(cls: type) -> set[type]:
    return {cls}.union(*(subclasses(each) for each in cls.__subclasses__()))


def test_all_classes_are_exported():
    """Whatever the package raises can be imported from its ``errors``; sorted."""
    ours = {
        cls
        for cls in subclasses(DifyError)
        if cls.__module__.startswith("dify_workflow")
    }

    assert set(CLASSES) == ours
    assert errors.__all__ == sorted(errors.__all__)
    names = [name for name in errors.__all__ if not name.endswith("Warning")]
    assert [cls.__name__ for cls in CLASSES] == names


@pytest.mark.parametrize("cls", CLASSES)
def test_docstrings_say_when(cls):
    """The first line of each class says when it is raised."""
    doc = inspect.getdoc(cls)

    assert cls.__doc__ is not DifyError.__doc__ or cls is DifyError
    assert doc.startswith(("Raised ", "The root "))


@pytest.mark.parametrize("cls", CLASSES)
def test_builtin_bases(cls):
    """Each is one of Python's own kinds, where Python has one, and no other."""
    kinds = {
        kind
        for kind in cls.__mro__
        if kind.__module__ == builtins.__name__ and kind is not object
    } - {Exception, BaseException}
    expected = {
        "UsageError": {RuntimeError},
        "ConfigurationError": {RuntimeError, ValueError},
        "InvalidInputs": {RuntimeError, ValueError},
        "TableError": {RuntimeError, ValueError},
    }
    if issubclass(cls, Timeout):
        expected[cls.__name__] = {TimeoutError, OSError}
    elif issubclass(cls, errors.UsageError):
        expected.setdefault(cls.__name__, {RuntimeError})

    assert kinds == expected.get(cls.__name__, set())


@pytest.mark.parametrize("cls", [c for c in CLASSES if issubclass(c, Timeout)])
def test_timeouts_are_builtin(cls):
    """``except TimeoutError`` catches them, and they know their limit."""
    error = cls("too slow", seconds=3.5)

    assert isinstance(error, TimeoutError)
    assert error.seconds == 3.5
    assert cls().seconds is None
    assert str(error) == "too slow"


# -- what they carry -----------------------------------------------------------------


@pytest.mark.parametrize("cls", CLASSES)
def test_attributes(cls):
    """Every error has every attribute of the root; what is not known is None."""
    bare = {
        **dict.fromkeys((RunFailed, RunStopped, RunPaused), (RESULT,)),
        InvalidInputs: ([],),
        JournalMismatch: ({},),
        JournalTooNew: (9, 2),
    }
    error = cls(*bare.get(cls, ("text",)))

    for name in ATTRIBUTES - {"safe_to_repeat", "message", "run_id", "task_id"}:
        assert getattr(error, name) is None, name
    assert isinstance(error.message, str)
    assert isinstance(error.safe_to_repeat, bool)
    assert error.args == (error.message,)


@pytest.mark.parametrize("cls", CLASSES)
def test_safe_to_repeat(cls):
    """Only what surely started nothing is safe to repeat by itself."""
    assert cls.safe_to_repeat is (
        cls in {ConnectionFailed, ConnectTimeout, TooManyRequests}
    )


@pytest.mark.parametrize("safe", [True, False])
@pytest.mark.parametrize("cls", [TooManyRequests, errors.ServerError])
def test_safe_to_repeat_can_be_said(cls, safe):
    """One error may know better than its class, which stays as it is."""
    before = cls.safe_to_repeat

    assert cls(safe_to_repeat=safe).safe_to_repeat is safe
    assert cls().safe_to_repeat is before


def test_headers_tell_version_and_trace():
    """Version and trace id are found whatever their case, or are None."""
    error = DifyError(headers=CONTEXT["headers"])

    assert (error.server_version, error.trace_id) == ("1.12.1", "abc")
    assert DifyError().server_version is None
    assert DifyError(headers={"Date": "x"}).trace_id is None


@pytest.mark.parametrize(
    ("context", "text"),
    [
        ({}, "no"),
        ({"status": 400}, "no [400]"),
        ({"code": "invalid_param"}, "no [invalid_param]"),
        ({"status": 400, "code": "x"}, "no [400 x]"),
        ({"request": "GET https://h/v1/x"}, "no [GET https://h/v1/x]"),
        ({"run_id": "r"}, "no [run r]"),
        ({"task_id": "t", "retry_after": 1, "headers": {"a": "b"}}, "no"),
        (
            {
                "status": 404,
                "code": "x",
                "request": "GET https://h/v1/x",
                "run_id": "r",
            },
            "no [404 x; GET https://h/v1/x; run r]",
        ),
    ],
    ids=lambda x: x if isinstance(x, str) else " ".join(x),
)
def test_str(context, text):
    """The text has the message, then status, code, request and run, where known."""
    assert str(DifyError("no", **context)) == text
    assert DifyError("no", **context).message == "no"


def test_str_of_what_is_learnt_later():
    """What is filled in while the error passes is in its text."""
    error = errors.ConnectionLost("broke")
    error.run_id, error.request = "r", "POST /x"

    assert str(error) == "broke [POST /x; run r]"


def test_invalid_inputs_have_their_problems():
    """Each problem is a sentence of its own, and the message has all."""
    error = InvalidInputs(["a: bad", "b: worse"])

    assert error.problems == ("a: bad", "b: worse")
    assert str(error) == "a: bad; b: worse"


def test_interrupted_may_be_running_unless_told():
    """A broken stream says nothing about the run: it may go on."""
    assert RunInterrupted().may_be_running is True
    assert RunInterrupted().events_seen == 0


def test_with_result_gives_the_same_error():
    """The result is attached in place; without one there is none."""
    error = APIError("no")

    assert error.result is None
    assert error.with_result(RESULT) is error
    assert error.result is RESULT


@pytest.mark.parametrize("cls", [errors.RunNotFound, errors.IdleTimeout, DifyError])
def test_become(cls):
    """An error can be told as one of a better class, with all that it carries."""
    error = errors.NotFound("no such run", **CONTEXT)

    again = error.become(cls)

    assert type(again) is cls
    assert str(again) == str(error)
    assert again.args == error.args
    assert vars(again) == vars(error)
    assert type(error) is errors.NotFound


# -- across processes ----------------------------------------------------------------


def again_by_pickle(error, protocol):
    return pickle.loads(pickle.dumps(error, protocol))


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("cls", CLASSES)
def test_pickle(cls, protocol):
    """Every error comes back with its class, its text and all its attributes."""
    error = make(cls)
    again = again_by_pickle(error, protocol)

    assert type(again) is cls
    assert str(again) == str(error)
    assert repr(again) == repr(error)
    assert again.args == error.args
    assert vars(again) == vars(error)
    assert {name: getattr(again, name) for name in ATTRIBUTES} == {
        name: getattr(error, name) for name in ATTRIBUTES
    }


@pytest.mark.parametrize("cls", [RunFailed, RunStopped, RunPaused, APIError])
def test_results_pickle_within(cls):
    """The result comes along, with ``raw`` and forms."""
    again = again_by_pickle(make(cls), pickle.HIGHEST_PROTOCOL)

    assert again.result == RESULT
    assert again.result.raw == RESULT.raw
    assert again.result.reasons[0].form_token == "x"
    if cls is RunFailed:
        assert again.node == NODE


@pytest.mark.parametrize("cls", CLASSES)
def test_copy(cls):
    """A copy of an error is equal in all, and independent of it."""
    error = make(cls)
    again = copy.copy(error)
    again.run_id = "other"

    assert {**vars(again), "run_id": error.run_id} == vars(error)
    assert error.run_id == "r"


def test_notes_pickle():
    """What a program noted on an error is not lost."""
    error = DifyError("no")
    error.add_note("row 7")

    assert again_by_pickle(error, 4).__notes__ == ["row 7"]


def test_where_a_table_is_broken():
    """The sentence about a table begins with its file, and the line if there are any."""
    assert str(TableError("no rows", path="a.csv")) == "a.csv: no rows"
    assert str(TableError("no rows", path="a.csv", line=3)) == "a.csv, line 3: no rows"
    assert str(TableError("no rows")) == "no rows"
