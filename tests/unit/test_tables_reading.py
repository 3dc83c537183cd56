"""Tables of every format, read as rows."""

from __future__ import annotations

import csv
import datetime as dt
import re
import sys
import zipfile

from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet
import pytest
import xlsxwriter

from dify_workflow_async.batch.tables import read_table
from dify_workflow_async.batch.tables._cells import plain
from dify_workflow_async.batch.tables._sources import library
from dify_workflow_async.errors import TableError


@pytest.fixture
def written(tmp_path):
    """Writes a file and gives its path."""

    def write(name, content):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def workbook(path, *sheets):
    with xlsxwriter.Workbook(path) as book:
        day = book.add_format({"num_format": "yyyy-mm-dd"})
        for name, rows in sheets:
            sheet = book.add_worksheet(name)
            for number, row in enumerate(rows):
                for column, cell in enumerate(row):
                    if isinstance(cell, dt.date):
                        sheet.write_datetime(number, column, cell, day)
                    elif cell is not None:
                        sheet.write(number, column, cell)
    return path


# -- CSV -----------------------------------------------------------------------------


def test_cells_of_a_csv_are_texts(written):
    """Nothing is guessed: leading zeros stay, and what is empty is left out."""
    path = written("a.csv", 'id,query,n\n007,"two\nlines, ""quoted""",1.50\n8,,\n')

    table = read_table(path)

    assert table.columns == ("id", "query", "n")
    assert list(table) == [
        {"id": "007", "query": 'two\nlines, "quoted"', "n": "1.50"},
        {"id": "8"},
    ]
    assert [row.cells["query"] for row in table] == ['two\nlines, "quoted"', ""]


@pytest.mark.parametrize(
    ("name", "content", "options"),
    [
        ("a.csv", "a,b\n1,ü\n", {}),
        ("a.CSV", "a,b\r\n1,ü\r\n", {}),
        ("bom.csv", b"\xef\xbb\xbfa,b\n1,\xc3\xbc\n", {}),
        ("blank.csv", "a,b\n\n1,ü\n\n", {}),
        ("a.tsv", "a\tb\n1\tü\n", {}),
        ("semicolon.csv", "a;b\n1;ü\n", {"delimiter": ";"}),
        ("latin.csv", "a,b\n1,ü\n".encode("latin-1"), {"encoding": "latin-1"}),
        ("wide.csv", "a,b\n1,ü\n".encode("utf-16"), {"encoding": "utf-16"}),
        ("a.jsonl", '{"a": "1", "b": "ü"}\n', {}),
        ("a.ndjson", '\n{"a": "1", "b": "ü"}', {}),
    ],
    ids=lambda value: value if isinstance(value, str) and "." in value[:14] else "",
)
def test_texts_in_every_form(written, name, content, options):
    """Byte order marks, line ends, blank lines, delimiters and encodings."""
    table = read_table(written(name, content), **options)

    assert list(table) == [{"a": "1", "b": "ü"}]
    assert table.check().rows == 1
    assert table.check().columns == ("a", "b")


def test_a_cell_of_a_megabyte(written):
    """The csv module's own limit of 131,072 characters is none."""
    text = "x" * 1_000_000

    (row,) = read_table(written("a.csv", f"a\n{text}\n"))

    assert row["a"] == text


def test_columns_without_a_name(written):
    """They are called by their numbers, as the index that pandas writes."""
    table = read_table(written("a.csv", ",a,\n0,x,y\n"))

    assert table.columns == ("column 1", "a", "column 3")


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.csv", "", "a.csv: the table has no header"),
        ("a.csv", "a,b,a\n", "two columns are called 'a'"),
        ("a.csv", "a,b\n1,2\n1\n", "a.csv, line 3: 1 cells, and the header has 2"),
        ("a.csv", "a,b\n1,2,3\n", "line 2: 3 cells, and the header has 2"),
        ("a.csv", 'a,b\n"1"2,3\n', "line 2: ',' expected"),
        ("a.csv", 'a,b\n1,"2\n', "unexpected end of data"),
        ("a.csv", "a;b\n1;2\n", "the header is the one cell 'a;b': if ';' divides"),
        ("a.csv", b"a\n\xfc\n", "not utf-8-sig ("),
        ("a.jsonl", '{"a": 1}\n{"a": \n', "a.jsonl, line 2: not JSON: "),
        ("a.jsonl", "[1]\n", "line 1: an object is needed, not list"),
        ("a.jsonl", '{"a": Infinity}\n', "Infinity has no form in JSON"),
        ("a.jsonl", '{"a": ' + "[" * 100_000, "line 1: not JSON: "),
        ("a.jsonl", b'{"a": "\xfc"}\n', "line 1: not JSON: "),
        ("a.parquet", "PAR1, or not", "a.parquet: cannot be read as Parquet: "),
        ("a.xlsx", "no workbook", "a.xlsx: cannot be read as a workbook: "),
        ("a.txt", "", "tables are .csv, .tsv"),
        ("a", "", "not without ending"),
    ],
)
def test_broken_tables(written, name, content, says):
    """What cannot be read is told with its file and line, before anything is run."""
    path = written(name, content)

    with pytest.raises(TableError) as caught:
        read_table(path).check()

    assert says in str(caught.value)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"delimiter": "::"}, "the delimiter is one character, not '::'"),
        ({"encoding": "utf-9"}, "there is no encoding 'utf-9'"),
    ],
)
def test_wrong_options(written, options, says):
    """Options that cannot be are told as such."""
    with pytest.raises(TableError, match=says):
        read_table(written("a.csv", "a\n1\n"), **options)


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.parquet", "a.xlsx"])
def test_no_such_file(tmp_path, name):
    """A file that is not there, or a folder, is no OSError."""
    with pytest.raises(TableError, match="No such file"):
        read_table(tmp_path / name)
    (tmp_path / name).mkdir()
    with pytest.raises(TableError, match="Is a directory"):
        read_table(tmp_path / name)


def test_the_limit_of_others_stays(written):
    """A larger limit that the program has set for itself is not lowered."""
    before = csv.field_size_limit(10**9)
    try:
        read_table(written("a.csv", "a\n1\n"))
        assert csv.field_size_limit() == 10**9
    finally:
        csv.field_size_limit(before)


# -- formats with types --------------------------------------------------------------


def test_rows_of_json_lines_have_their_own_columns(written):
    """Each object is taken as it is; what is null, empty or NaN is left out."""
    table = read_table(
        written("a.jsonl", '{"a": 1, "b": [1, {}]}\n{"c": null, "d": "", "e": NaN}\n')
    )

    assert table.columns is None
    assert list(table) == [{"a": 1, "b": [1, {}]}, {}]
    assert table.check().columns == ("a", "b", "c", "d", "e")


def test_parquet(tmp_path):
    """Types are kept, as far as JSON has them, also over many groups of rows."""
    path = tmp_path / "a.parquet"
    number = 1_234
    data = pa.table(
        {
            "i": pa.array(range(number), pa.int32()),
            "f": pa.array([float("nan"), *[0.5] * (number - 1)]),
            "t": pa.array([dt.datetime(2024, 1, 2, 3, 4, 5, tzinfo=dt.UTC)] * number),
            "ns": pa.array([1_700_000_000_123_456_789] * number, pa.timestamp("ns")),
            "d": pa.array([Decimal("1.50")] * number),
            "l": pa.array([[{"x": b"\x00"}]] * number),
            "none": pa.array([None] * number, pa.string()),
        }
    )
    pa.parquet.write_table(data, path, row_group_size=100)

    table = read_table(path)
    rows = list(table)

    assert [row["i"] for row in rows] == list(range(number))
    assert rows[0].cells["f"] is None
    assert rows[7] == {
        "i": 7,
        "f": 0.5,
        "t": "2024-01-02T03:04:05+00:00",
        "ns": "2023-11-14T22:13:20.123456",
        "d": "1.50",
        "l": [{"x": "AA=="}],
    }
    assert table.check().rows == number  # from the head alone


def test_excel(tmp_path):
    """Each cell has its own type; empty rows are none, and blanks are left out."""
    path = workbook(
        tmp_path / "a.xlsx",
        (
            "first",
            [
                ["n", "text", "day", 2024],
                [42, "007", dt.date(2024, 1, 2), None],
                [1.5, True, None, "x"],
                [None, None, None, None],
                ["late", "", None, None],
            ],
        ),
        ("second", [["a"], ["b"]]),
    )

    table = read_table(path)

    assert table.columns == ("n", "text", "day", "2024")
    assert list(table) == [
        {"n": 42, "text": "007", "day": "2024-01-02"},
        {"n": 1.5, "text": True, "2024": "x"},
        {"n": "late"},
    ]
    assert table.check().rows == 3
    assert list(read_table(path, sheet="second")) == [{"a": "b"}]
    with pytest.raises(
        TableError, match="no sheet 'third'; there is 'first', 'second'"
    ):
        read_table(path, sheet="third")


def test_a_workbook_without_sheets(tmp_path):
    """It has nothing to read, and says so."""
    path = workbook(tmp_path / "a.xlsx", ("first", [["a"]]))
    with zipfile.ZipFile(path) as old:
        parts = {name: old.read(name) for name in old.namelist()}
    with zipfile.ZipFile(path, "w") as new:
        for name, part in parts.items():
            new.writestr(name, re.sub(b"<sheet [^>]*>", b"", part))

    with pytest.raises(TableError, match="there is no sheet ''; there is none"):
        read_table(path)


def test_an_empty_sheet(tmp_path):
    """A sheet with nothing in it has no header."""
    with pytest.raises(TableError, match="no header"):
        read_table(workbook(tmp_path / "a.xlsx", ("first", [])))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (dt.time(1, 2), "01:02:00"),
        (dt.timedelta(minutes=1), 60.0),
        (float("inf"), "Infinity"),
        (Decimal("NaN"), None),
        ((1, {2: b"a"}), [1, {"2": "YQ=="}]),
        (1j, "1j"),
    ],
    ids=str,
)
def test_plain(value, expected):
    """Every value becomes one of JSON."""
    assert plain(value) == expected


# -- reading in a thread -------------------------------------------------------------


async def test_async_reading(written):
    """``async for`` gives the same rows as ``for``."""
    lines = [f"{number},x\n" for number in range(1_001)]
    table = read_table(written("a.csv", "a,b\n" + "".join(lines)))

    assert [row async for row in table] == list(table)


async def test_async_reading_of_a_broken_table(written):
    """The rows before the broken one are given, and then its error."""
    table = read_table(written("a.csv", "a\n1\n2\n3,4\n5\n"))
    rows = aiter(table)

    assert [(await anext(rows))["a"], (await anext(rows))["a"]] == ["1", "2"]
    with pytest.raises(TableError, match="line 4"):
        await anext(rows)


# -- without the extra ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "module"), [("a.parquet", "pyarrow"), ("a.xlsx", "python_calamine")]
)
def test_without_the_extra(written, monkeypatch, name, module):
    """What is missing is told with what to install."""
    for each in [x for x in sys.modules if x.partition(".")[0] == module]:
        monkeypatch.delitem(sys.modules, each)
    monkeypatch.setitem(sys.modules, module, None)

    with pytest.raises(TableError) as caught:
        read_table(written(name, ""))

    assert f"needs {module}: pip install 'dify-workflow-async[tables]'" in str(
        caught.value
    )


def test_a_library_that_is_broken_itself(written, monkeypatch):
    """What a library misses of its own is its own error."""
    (folder := written("x", "").parent / "broken_library").mkdir()
    (folder / "__init__.py").write_text("import not_there_either")
    monkeypatch.syspath_prepend(folder.parent)

    with pytest.raises(ModuleNotFoundError, match="not_there_either"):
        library("broken_library", "nothing")
