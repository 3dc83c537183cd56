"""What is logged can be searched by fields, which are documented."""

from __future__ import annotations

import logging
import re

from pathlib import Path

import pytest

from dify_workflow_async import RetryPolicy, Timeouts, errors
from dify_workflow_async._log import about
from dify_workflow_async.local import Node
from dify_workflow_async.local.faults import Drop, ErrorPage, HangUp


NEW, OLD = "1.14.2", "1.12.1"
END = Node(type="end", outputs={"answer": "42"})
RUN = "*/workflows/run"
PAGE = Path(__file__).parents[2] / "docs/reference/telemetry.md"

OWN = set(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
DOCUMENTED = set(re.findall(r"^\| `(\w+)` \|", PAGE.read_text("utf-8"), re.MULTILINE))


def fields_of(record: logging.LogRecord) -> dict[str, object]:
    """Give what a record tells beside its sentence."""
    return {name: value for name, value in vars(record).items() if name not in OWN}


@pytest.fixture
def records(caplog):
    """Give a function that lists what is logged, with debugging on, by its format."""
    caplog.set_level(logging.DEBUG, "dify_workflow_async")

    def found(form: str) -> list[dict[str, object]]:
        ours = [x for x in caplog.records if x.name == "dify_workflow_async"]
        return [fields_of(x) for x in ours if form in str(x.msg)]

    yield found
    for record in caplog.records:
        if record.name == "dify_workflow_async":
            assert set(fields_of(record)) <= DOCUMENTED
            plain = str | int | float
            assert all(isinstance(x, plain) for x in fields_of(record).values())


def test_no_field_hides_an_attribute_of_records():
    """`logging` would refuse it."""
    assert DOCUMENTED
    assert not DOCUMENTED & OWN


async def test_a_run(serve, connect, records):
    """Its requests, its beginning and its end are logged, each with the run's ids."""
    server = await serve(END, version=NEW)
    result = await connect(server).run()
    ids = {"workflow_run_id": result.workflow_run_id, "task_id": result.task_id}
    request = f"POST {server.base_url}/workflows/run"
    assert records("%s: send") == [{"request": request}]
    (answer,) = records("%s: %s")
    assert answer.pop("seconds") > 0
    assert answer == {"request": request, "http_status": 200}
    assert records("%s: run %s began") == [{"verb": "run", **ids}]
    (end,) = records("%s: run %s %s after")
    assert end.pop("seconds") > 0
    assert end == {"verb": "run", "run_status": "succeeded", **ids}


async def test_nothing_is_logged_of_a_good_run(serve, connect, caplog):
    """Not where debugging is off."""
    caplog.set_level(logging.INFO, "dify_workflow_async")
    server = await serve(END)
    await connect(server).run()
    assert [x for x in caplog.records if x.name == "dify_workflow_async"] == []


async def test_a_request_that_is_sent_again(serve, connect, records):
    """The record has the error's class, its status, the wait and the attempt."""
    server = await serve(END, version=NEW)
    server.server.fail_next(ErrorPage(status=503), path="*/workflows/run/*")
    server.server.fail_next(HangUp(), path="*/workflows/run/*")
    client = connect(server, retry=RetryPolicy(base=0))
    result = await client.run()
    await client.get_run(result.ref)
    first, second = records("try again")
    assert first["error_type"] == "GatewayError"
    assert (first["http_status"], first["attempt"]) == (503, 1)
    assert second["error_type"] == "ConnectionLost"
    assert second["workflow_run_id"] == result.workflow_run_id
    assert str(second["request"]).startswith("GET http")
    lost = [x for x in records("%s: %s") if "error_type" in x]
    assert [x["error_type"] for x in lost] == ["ConnectionLost"]


async def test_a_run_that_is_looked_for(serve, connect, records):
    """The record names it."""
    server = await serve(Node(type="start"), END, version=OLD)
    server.server.fail_next(Drop(after_events=2), path=RUN)
    result = await connect(server, timeouts=Timeouts(recovery=10)).run()
    (record,) = records("look for run")
    assert record["workflow_run_id"] == result.workflow_run_id
    assert record["task_id"] == result.task_id
    assert record["error_type"] == "RunInterrupted"


async def test_a_run_that_was_refused(serve, connect, records):
    """Its end tells why."""
    server = await serve(END, version=NEW)
    with pytest.raises(errors.Unauthorized):
        await connect(server, api_key="app-nobody").run()
    (end,) = records("%s: run %s %s after")
    assert end["run_status"] == "refused"
    assert end["error_type"] == "Unauthorized"
    assert (end["http_status"], end["error_code"]) == (401, "unauthorized")
    assert "workflow_run_id" not in end


async def test_a_run_that_is_left(serve, connect, records):
    """The log says so, with its ids."""
    server = await serve(Node(type="start"), Node(type="code", delay=3600))
    client = connect(server)
    async with client.stream() as run:
        await anext(run)
    await client.aclose()
    ids = {"workflow_run_id": run.workflow_run_id, "task_id": run.task_id}
    assert records("left early") == [ids]
    (end,) = records("%s: run %s %s after")
    assert end["run_status"] == "stopped"


def test_what_is_told_of_an_error():
    """Only what is known, and what is known better elsewhere wins."""
    error = errors.ConnectionLost("x", run_id="r1")
    assert about(error, attempt=2) == {
        "error_type": "ConnectionLost",
        "workflow_run_id": "r1",
        "attempt": 2,
    }
