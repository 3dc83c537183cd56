"""What observers are told is looked up late, and looks as if it were not."""

from __future__ import annotations

import subprocess
import sys

import attrs
import pytest

from dify_workflow_async import errors, hooks


def test_names_that_do_not_exist():
    """They are told as Python tells them."""
    with pytest.raises(AttributeError, match="has no attribute 'NoSuchHook'"):
        hooks.NoSuchHook  # noqa: B018


def test_all_names_are_listed():
    """Also those that nobody has asked for."""
    assert set(hooks.__all__) <= set(dir(hooks))


def test_what_only_observers_need_is_not_imported():
    """A client without any does not pay for it."""
    program = (
        "import sys, dify_workflow_async as d\n"
        "d.WorkflowClient('app-1')\n"
        "assert 'dify_workflow_async.hooks._told' not in sys.modules\n"
        "assert 'dify_workflow_async._observed' not in sys.modules\n"
        "assert d.hooks.RunStart is d.hooks.RunStart\n"
        "assert 'dify_workflow_async.hooks._told' in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_what_is_told_are_values():
    """They are frozen, and compare by value."""
    error = errors.ConnectionLost("broke")
    end = hooks.RequestEnd(request="GET /x", status=None, error=error, seconds=1.0)
    start = hooks.RunStart(verb="run", base_url="https://x/v1", user="u")
    for each in (end, start):
        assert each == attrs.evolve(each)
        with pytest.raises(attrs.exceptions.FrozenInstanceError):
            each.user = "v"
