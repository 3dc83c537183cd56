"""Results, written as tables."""

from __future__ import annotations

import csv
import errno
import json
import os
import subprocess
import sys

from decimal import Decimal

import attrs
import pyarrow as pa
import pyarrow.parquet
import pytest

from hypothesis import given, settings
from hypothesis import strategies as st

from dify_workflow_async.batch._values import BatchItem, Record, State
from dify_workflow_async.batch.tables import (
    Results,
    TableRow,
    _excel,
    _spool,
    read_table,
)
from dify_workflow_async.batch.tables._cells import text_of
from dify_workflow_async.batch.tables._kinds import fitted
from dify_workflow_async.batch.tables._spool import Spool
from dify_workflow_async.errors import RunFailed, RunStateUnknown, TableError
from dify_workflow_async.models import RunRef, RunResult


@attrs.frozen(kw_only=True)
class Priced:
    """A result that tells what it cost."""

    status: str = "succeeded"
    outputs: dict = attrs.field(factory=dict)
    error: str | None = None
    workflow_run_id: str = "run-1"
    elapsed_time: float = 0.5
    total_tokens: int = 7
    total_price: Decimal | None = Decimal("0.0012")
    currency: str | None = "USD"


def item(index, cells=None, **outputs):
    """The item of a row that succeeded."""
    return BatchItem(
        key=f"k{index}",
        index=index,
        inputs=TableRow({"sent": 1}, cells or {"id": f"{index:03}"}),
        state=State.SUCCEEDED,
        result=Priced(outputs=outputs),
        attempts=1,
    )


NESTED = {"text": 'a "b",\nc', "list": [1, {"x": "ü"}], "n": 1, "mixed": "x"}


@pytest.fixture
def write(tmp_path):
    """Writes items, the last first, and gives the path."""

    def write(name, *items, **options):
        path = tmp_path / name
        with Results(path, **options) as results:
            for each in reversed(items):
                results.add(each)
        assert os.listdir(tmp_path) == [name]  # noqa: PTH208 - neither .part nor others
        return path

    return write


TWO = (
    item(0, None, **NESTED),
    item(1, {"id": "001", "run.state": "of before", "output.old": 1}, n=2.5, mixed=3),
)


@pytest.mark.parametrize("name", ["a.csv", "a.tsv"])
def test_csv(write, name):
    """Rows are in the order of the batch; what is nested is JSON; nothing is NULL."""
    path = write(name, *TWO)

    with path.open(newline="", encoding="utf-8") as file:
        delimiter = "\t" if name == "a.tsv" else ","
        header, first, second = csv.reader(file, delimiter=delimiter)

    assert ",".join(header) == (
        "id,run.row,run.key,run.state,run.status,run.error,run.error_type,run.id,"
        "run.attempts,run.seconds,run.tokens,run.price,run.currency,"
        "output.n,output.mixed,output.text,output.list"
    )
    facts = ["succeeded", "succeeded", "", "", "run-1", "1", "0.5", "7", "0.0012"]
    assert first == [
        *("000", "1", "k0", *facts, "USD"),
        *("1", "x", 'a "b",\nc', '[1,{"x":"ü"}]'),
    ]
    assert second == ["001", "2", "k1", *facts, "USD", "2.5", "3", "", ""]
    assert next(iter(read_table(path)))["output.text"] == 'a "b",\nc'


@pytest.mark.parametrize("name", ["a.jsonl", "a.ndjson"])
def test_json_lines(write, name):
    """Values stay what they are, and every line has all columns."""
    rows = [json.loads(line) for line in write(name, *TWO).read_bytes().splitlines()]

    assert [row["id"] for row in rows] == ["000", "001"]
    assert rows[0]["output.list"] == [1, {"x": "ü"}]
    assert rows[1]["output.list"] is None
    assert rows[1]["output.mixed"] == 3
    assert list(rows[0]) == list(rows[1])


def test_parquet(write):
    """Columns have types; one of several kinds is text."""
    table = pa.parquet.read_table(write("a.parquet", *TWO))

    assert table.schema.field("run.row").type == pa.int64()
    assert table.schema.field("run.price").type == pa.float64()
    assert table.schema.field("run.error").type == pa.string()
    assert table.column("output.n").to_pylist() == [1.0, 2.5]
    assert table.column("output.mixed").to_pylist() == ["x", "3"]
    assert table.column("output.list").to_pylist() == ['[1,{"x":"ü"}]', None]


@pytest.mark.parametrize(
    ("values", "expected", "kind"),
    [
        ((True, None, False), [True, None, False], pa.bool_()),
        ((1, None, -(2**63)), [1, None, -(2**63)], pa.int64()),
        ((1, 2**63), ["1", str(2**63)], pa.string()),
        ((1, 0.5, True), ["1", "0.5", "true"], pa.string()),
        ((None, None), [None, None], pa.string()),
        (("a\ud800",), ["a\\ud800"], pa.string()),
    ],
    ids=str,
)
def test_kinds_of_columns(write, values, expected, kind):
    """A column has the narrowest type that loses nothing."""
    items = [item(index, None, x=value) for index, value in enumerate(values)]
    column = pa.parquet.read_table(write("a.parquet", *items)).column("output.x")

    assert column.to_pylist() == expected
    assert column.type == kind


def test_many_groups_of_parquet(write):
    """More rows than are held at a time."""
    path = write("a.parquet", *(item(index) for index in range(5_001)))

    assert pa.parquet.ParquetFile(path).num_row_groups == 2
    assert [row["run.row"] for row in read_table(path)] == list(range(1, 5_002))


def test_excel(write):
    """Cells have types; formulas and long ids are texts."""
    path = write("a.xlsx", item(0, None, f="=1+1", b=True, id=10**15, n=3, x=0.5))

    (row,) = read_table(path)

    assert row["output.f"] == "=1+1"
    assert row["output.b"] is True
    assert row["output.id"] == str(10**15)
    assert (row["output.n"], row["output.x"]) == (3, 0.5)


def test_texts_too_long_for_excel(tmp_path):
    """They are cut, and counted."""
    results = Results(tmp_path / "a.xlsx").open()
    results.add(item(0, None, text="x" * 40_000))

    written = results.finish()

    assert (written.rows, written.cut) == (1, 1)
    (row,) = read_table(written.path)
    assert row["output.text"] == "x" * 32_767


@pytest.mark.parametrize(
    ("limit", "says"),
    [("MAX_ROWS", "more rows than the 3"), ("MAX_COLUMNS", "columns, and a sheet")],
)
def test_too_much_for_excel(tmp_path, monkeypatch, limit, says):
    """What no sheet can hold is an error that tells where the rows are."""
    monkeypatch.setattr(_excel, limit, 3)
    results = Results(tmp_path / "a.xlsx").open()
    for index in range(3):
        results.add(item(index))

    with pytest.raises(TableError, match=says) as caught:
        results.finish()

    assert f"(the rows are in {results.part})" in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["a.xlsx.part"]
    assert len(results.part.read_bytes().splitlines()) == 3


# -- what is told of a row -----------------------------------------------------------

FAILED = RunResult(status="failed", error="boom", workflow_run_id="run-9")
RECORD = Record(
    key="k",
    digest="d",
    state=State.FAILED,
    ref=RunRef(workflow_run_id="run-8"),
    status="failed",
    outputs={"a": 1},
    error_type="RunFailed",
    error="the run failed: boom",
    attempts=2,
)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (
            {"state": State.FAILED, "result": FAILED, "error": RunFailed(FAILED)},
            ("failed", "failed", "the run failed: boom", "RunFailed", "run-9"),
        ),
        (
            {"state": State.FAILED, "record": RECORD},
            ("failed", "failed", "the run failed: boom", "RunFailed", "run-8", 2),
        ),
        (
            {"state": State.UNKNOWN, "error": RunStateUnknown("lost", run_id="run-7")},
            ("unknown", None, "lost", "RunStateUnknown", "run-7"),
        ),
        (
            {"state": State.REFUSED, "error": ValueError("mine")},
            ("refused", None, "mine", "ValueError", None),
        ),
        ({"state": State.STOPPED}, ("stopped", None, None, None, None)),
        (
            {"state": State.SUCCEEDED, "result": Priced(total_price=None)},
            ("succeeded", "succeeded", None, None, "run-1"),
        ),
    ],
    ids=["failed", "recorded", "unknown", "refused", "stopped", "no price"],
)
@pytest.mark.parametrize("inputs", [{"a": 1}, ["no", "mapping"]], ids=["dict", "list"])
def test_facts(write, inputs, given, told):
    """State, status, error and run of a row, wherever they are known from."""
    path = write("a.jsonl", BatchItem(key="k", index=0, inputs=inputs, **given))

    row = json.loads(path.read_text())

    names = ("state", "status", "error", "error_type", "id", "attempts")
    assert tuple(row[f"run.{name}"] for name in names)[: len(told)] == told
    assert row.get("a") == (1 if isinstance(inputs, dict) else None)


# -- what a crash leaves -------------------------------------------------------------


def test_results_that_are_left(tmp_path):
    """An error of the batch leaves the rows, and the next one says so."""
    path = tmp_path / "a.csv"
    results = Results(path)
    with pytest.raises(KeyError), results:
        _ = results.add(item(0)), {}["the batch's own mistake"]

    assert not path.exists()
    assert len(results.part.read_bytes().splitlines()) == 1
    with pytest.raises(TableError, match=r"a\.csv\.part: a batch that did not come"):
        Results(path).open()
    with pytest.raises(TableError, match=r"a\.csv\.part: a batch that did not come"):
        Spool(results.part, replace=False)  # which came after we had looked
    with Results(path, replace=True) as again:
        again.add(item(1))
    assert [path.name for path in tmp_path.iterdir()] == ["a.csv"]
    assert [row["run.row"] for row in read_table(path)] == ["2"]


def test_a_batch_that_was_killed_at_once(tmp_path):
    """What it leaves has no rows, and is in nobody's way."""
    results = Results(tmp_path / "a.csv")
    results.part.touch()
    with results:
        results.add(item(0))

    assert [path.name for path in tmp_path.iterdir()] == ["a.csv"]


def test_a_table_that_is_there(tmp_path):
    """It is not replaced unasked, and stays whole until the new one is."""
    path = tmp_path / "a.csv"
    path.write_text("mine")

    with pytest.raises(TableError, match="it is there already"):
        Results(path).open()
    with pytest.raises(KeyError), Results(path, replace=True):
        raise KeyError

    assert path.read_text() == "mine"


def test_columns_so_far(tmp_path):
    """They are known while the rows come: of the cells, of the run, of the outputs."""
    with Results(tmp_path / "a.csv") as results:
        results.add(item(0, None, text="x"))
        columns = results.columns

    assert (columns[0], columns[1], columns[-1]) == ("id", "run.row", "output.text")


def test_no_rows(write):
    """A batch of no rows is a table with a header."""
    assert write("a.csv").read_text().startswith("run.row,run.key")


def test_finished_early(tmp_path):
    """What was finished inside ``with`` is not written again."""
    with Results(tmp_path / "a.csv") as results:
        results.finish()
        with pytest.raises(TableError, match="not open"):
            results.add(item(0))

    assert [path.name for path in tmp_path.iterdir()] == ["a.csv"]


@pytest.mark.parametrize("replace", [False, True])
def test_a_folder_that_is_not_there(tmp_path, replace):
    """It is told before the first run."""
    with pytest.raises(TableError, match="No such file"):
        Results(tmp_path / "x" / "a.csv", replace=replace).open()


def test_a_format_that_is_not_written(tmp_path):
    """It is told before the first run."""
    with pytest.raises(TableError, match=r"written as \.csv, .*, not \.xls$"):
        Results(tmp_path / "a.xls")
    with pytest.raises(TableError, match="not without ending"):
        Results(tmp_path / "a")


@pytest.mark.parametrize(
    ("name", "module"), [("a.parquet", "pyarrow"), ("a.xlsx", "xlsxwriter")]
)
def test_without_the_extra(tmp_path, monkeypatch, name, module):
    """What is missing is told before the first run."""
    for each in [x for x in sys.modules if x.partition(".")[0] == module]:
        monkeypatch.delitem(sys.modules, each)
    monkeypatch.setitem(sys.modules, module, None)

    with pytest.raises(TableError, match=f"needs {module}: pip install"):
        Results(tmp_path / name)


HOLD = """
import sys
from dify_workflow_async.batch.tables import Results
with Results(sys.argv[1]):
    print("open", flush=True)
    sys.stdin.read()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="has no such locks")
def test_two_processes(tmp_path):
    """Only one process at a time writes to one table."""
    path = tmp_path / "a.csv"
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with holder:
        assert holder.stdout.readline() == b"open\n"
        with pytest.raises(TableError, match="another process writes to it"):
            Results(path, replace=True).open()
        holder.stdin.close()

    with Results(path, replace=True):
        pass


def test_a_file_that_was_just_removed(tmp_path, monkeypatch):
    """Between opening and locking, the process before may have come to its end."""
    path = tmp_path / "a.csv"
    real = _spool._fcntl.flock

    def flock(file, how):
        real(file, how)
        (tmp_path / "a.csv.part").unlink()

    monkeypatch.setattr(_spool._fcntl, "flock", flock)
    with pytest.raises(TableError, match="another process writes to it"):
        Results(path).open()


def test_without_locks(write, monkeypatch):
    """Windows has none, and removes no file that is open."""
    monkeypatch.setattr(_spool, "_fcntl", None)

    assert write("a.csv", item(0)).exists()


def test_a_disk_that_is_full(tmp_path, monkeypatch):
    """The row that has no room is an error, and leaves no half line."""
    results = Results(tmp_path / "a.csv").open()
    results.add(item(0))
    real, written = os.write, []

    def write(file, data):
        if written:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written.append(real(file, data[:10]))
        return 10

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", write)
        with pytest.raises(TableError, match="No space left"):
            results.add(item(1))
    results.add(item(2))

    assert written == [10]
    assert results.finish().rows == 2
    assert [row["run.row"] for row in read_table(results.path)] == ["1", "3"]


# -- whatever comes out of a run -----------------------------------------------------

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)
NAMES = st.text("aBü,;\t\n\"' ", max_size=3).map(str.strip)


@pytest.mark.parametrize("ending", ["csv", "tsv", "jsonl", "parquet"])
@given(outputs=st.lists(st.dictionaries(NAMES, VALUES), max_size=4))
@settings(max_examples=25, deadline=None)
def test_any_outputs(tmp_path_factory, ending, outputs):
    """What is written is what is read: as it was, or as its text."""
    path = tmp_path_factory.mktemp("any") / f"a.{ending}"
    with Results(path) as results:
        for index, each in enumerate(outputs):
            results.add(item(index, {"id": "x"}, **each))
        kinds = results._kinds()

    rows = [row.cells for row in read_table(path)] if outputs else []

    assert len(rows) == len(outputs)
    for row, each in zip(rows, outputs, strict=True):
        for name, value in each.items():
            column = f"output.{name}"
            assert row[column] == expected(value, ending, kinds[column])


def expected(value, ending, kind):
    """What a value is read as."""
    if ending == "jsonl":
        return value
    if ending in {"csv", "tsv"}:
        return text_of(value)
    return fitted(value, kind)


@pytest.mark.parametrize(
    "text", ["=1+1", "_x0041_", "tab\t, line\nend", "\x01\x1f", " spaces ", "'", "ü😀"]
)
def test_texts_in_excel(write, text):
    """They come back as they were: none is a formula, a number or an escape."""
    (row,) = read_table(write("a.xlsx", item(0, None, text=text)))

    assert row["output.text"] == text
