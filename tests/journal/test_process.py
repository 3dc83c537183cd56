"""How processes are told apart, and whether they have ended."""

from __future__ import annotations

import os
import subprocess
import sys

import attrs
import pytest

from dify_workflow_async.batch.journal import _process
from dify_workflow_async.batch.journal._process import Process


def test_this_process_has_not_ended():
    """Whoever asks runs."""
    this = Process.this()

    assert this.pid == os.getpid()
    assert not this.has_ended()


def test_other_process():
    """It runs until it ends, also before anybody reaps it."""
    with subprocess.Popen(
        [sys.executable, "-c", "input()"], stdin=subprocess.PIPE
    ) as child:
        started = _process._start_of(child.pid)
        process = attrs.evolve(Process.this(), pid=child.pid, started=started)
        assert not process.has_ended()
        child.stdin.close()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert process.has_ended()
    assert process.has_ended()


def test_id_that_was_given_again():
    """A process that started at another time is another one."""
    assert attrs.evolve(Process.this(), started="1").has_ended()


@pytest.mark.parametrize("refusal", [None, PermissionError()])
def test_process_that_proc_hides(monkeypatch, tmp_path, refusal):
    """One that cannot be looked at has ended only if no process has its id."""
    for name in ("sys", "self"):
        (tmp_path / name).symlink_to(f"/proc/{name}")
    with subprocess.Popen([sys.executable, "-c", ""]) as child:
        pass
    gone = attrs.evolve(Process.this(), pid=child.pid)
    hidden = Process.this()
    monkeypatch.setattr(_process, "_PROC", tmp_path)
    assert gone.has_ended()

    def refuse(pid: int, number: int) -> None:
        assert (pid, number) == (hidden.pid, 0)
        if refusal is not None:
            raise refusal

    monkeypatch.setattr(os, "kill", refuse)
    assert not hidden.has_ended()


def test_where_nobody_can_tell(monkeypatch, tmp_path):
    """Another machine, or one without /proc: it may run."""
    assert not attrs.evolve(Process.this(), machine="x", started="1").has_ended()
    assert not attrs.evolve(Process.this(), machine=None, started="1").has_ended()
    monkeypatch.setattr(_process, "_PROC", tmp_path)
    nowhere = Process.this()

    assert (nowhere.machine, nowhere.started) == (None, None)
    assert not nowhere.has_ended()
