"""From the columns of a table to the inputs of an app."""

from __future__ import annotations

import pytest

from dify_workflow_async.batch.tables import read_table
from dify_workflow_async.errors import TableError
from dify_workflow_async.models import InputVariable, Parameters


def form(**variables):
    """An app's form, of controls by their names; ``*`` at the end is required."""
    return Parameters(
        user_input_form=tuple(
            InputVariable(
                variable=name,
                type=control.rstrip("*"),
                required=control.endswith("*"),
                allowed_file_types=("image", "custom"),
                allowed_file_extensions=(".log",),
            )
            for name, control in variables.items()
        )
    )


@pytest.fixture
def rows(tmp_path):
    """The inputs that lines of JSON become."""

    def read(text, **options):
        path = tmp_path / "table.jsonl"
        path.write_text(text)
        table = read_table(path, **options)
        table.check()
        return [dict(row) for row in table]

    return read


@pytest.fixture
def csv(tmp_path):
    """A CSV of a header, opened."""

    def read(header, **options):
        path = tmp_path / "table.csv"
        path.write_text(f"{header}\n")
        return read_table(path, **options)

    return read


@pytest.mark.parametrize(
    ("mapping", "controls", "inputs"),
    [
        (None, None, {"id": 1, "q": "a", "lang": "en"}),
        ({"q": "query"}, None, {"id": 1, "query": "a", "lang": "en"}),
        (None, {"q": "paragraph*", "other": "number"}, {"q": "a"}),
        ({"q": "query"}, {"query": "paragraph*"}, {"query": "a"}),
        ({"id": "q"}, {"q": "number"}, {"q": 1}),  # the column q gives way
        ({"id": "q", "q": "id"}, None, {"q": 1, "id": "a", "lang": "en"}),
    ],
)
def test_names(rows, mapping, controls, inputs):
    """Columns are renamed by the mapping; the app's form chooses among the others."""
    options = {"form": form(**controls)} if controls else {}
    line = '{"id": 1, "q": "a", "lang": "en"}'

    assert rows(line, mapping=mapping, **options) == [inputs]


@pytest.mark.parametrize(
    ("mapping", "controls", "says"),
    [
        ({"x": "q"}, None, "there is no column 'x'; there is 'a', 'b'"),
        ({"a": "q", "b": "q"}, None, "two columns are to be the input 'q'"),
        ({"a": "z"}, {"q": "number"}, "the app has no input 'z'; it has 'q'"),
        ({"a": "z"}, {}, "the app has no input 'z'; it has none"),
        (None, {"q": "number*"}, "the app requires 'q', and no column is called so; "),
        ({"a": "b"}, {"a": "number*", "b": "number"}, "the app requires 'a'"),
    ],
)
def test_columns_that_do_not_fit(csv, rows, mapping, controls, says):
    """They are told before anything is run, whether or not the header tells them."""
    options = {"mapping": mapping}
    if controls is not None:
        options["form"] = form(**controls)

    with pytest.raises(TableError) as of_csv:
        csv("a,b", **options)
    with pytest.raises(TableError) as of_lines:
        rows('{"a": 1, "b": 2}', **options)

    assert says in str(of_csv.value)
    assert says in str(of_lines.value)


def test_what_is_sent(csv):
    """A table tells which of its columns are sent, and as what."""
    table = csv("a,b,c", mapping={"a": "b"}, form=form(b="number", c="number"))

    assert [table.variable(column) for column in table.columns] == ["b", None, "c"]


def test_an_empty_table_fits(rows):
    """JSON lines without a line have no columns that could be wrong."""
    assert rows("", mapping={"a": "b"}) == []


@pytest.mark.parametrize(
    ("control", "cell", "value"),
    [
        ("text-input", "42", "42"),
        ("text-input", '"007"', "007"),
        ("paragraph", "42.0", "42"),
        ("paragraph", "1.5", "1.5"),
        ("select", "true", "true"),
        ("external_data_tool", '{"a": [1]}', '{"a":[1]}'),
        ("number", '"1.5"', "1.5"),
        ("number", "1.5", 1.5),
        ("checkbox", '"yes"', "yes"),
        ("of tomorrow", "[1]", [1]),
        ("json_object", '{"a": 1}', {"a": 1}),
        ("json_object", r'"{\"a\": 1}"', {"a": 1}),
        ("json_object", '"not JSON"', "not JSON"),
    ],
)
def test_values(rows, control, cell, value):
    """A cell is sent as what its control takes, as far as nothing is guessed."""
    assert rows(f'{{"x": {cell}}}', form=form(x=control)) == [{"x": value}]


LINK = {
    "type": "image",
    "transfer_method": "remote_url",
    "url": "https://example.com/a%20b.png?x=1",
}


def test_files(rows, tmp_path):
    """Texts are links or paths, from the table's folder on; objects are sent as such."""
    upload = {"transfer_method": "local_file", "upload_file_id": "u"}
    got = rows(
        '{"x": " https://example.com/a%20b.png?x=1 "}\n'
        '{"x": "https://example.com/a.log"}\n'
        '{"x": "reports/q3.pdf"}\n'
        '{"x": "/absolute.pdf"}\n'
        '{"x": {"transfer_method": "local_file", "upload_file_id": "u"}}\n',
        form=form(x="file"),
    )

    assert [row["x"] for row in got] == [
        LINK,
        {**LINK, "type": "custom", "url": "https://example.com/a.log"},
        tmp_path / "reports/q3.pdf",
        tmp_path / "/absolute.pdf",
        upload,
    ]


@pytest.mark.parametrize(
    "cell",
    [
        '["a.png", "https://example.com/a%20b.png?x=1"]',
        r'"[\"a.png\", \"https://example.com/a%20b.png?x=1\"]"',
        r'"a.png\n\nhttps://example.com/a%20b.png?x=1\n"',
    ],
)
def test_lists_of_files(rows, tmp_path, cell):
    """They are a list, a JSON list as text, or one file a line."""
    (row,) = rows(f'{{"x": {cell}}}', form=form(x="file-list"))

    assert row["x"] == [tmp_path / "a.png", LINK]


def test_a_list_of_one_file(rows):
    """One object becomes a list of one."""
    upload = '{"transfer_method": "local_file", "upload_file_id": "u"}'
    (row,) = rows(f'{{"x": {upload}}}', form=form(x="file-list"))

    assert row["x"] == [{"transfer_method": "local_file", "upload_file_id": "u"}]
