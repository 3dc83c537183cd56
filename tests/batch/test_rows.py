"""How rows are read: keys, digests, and rows that are none."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from dify_workflow_async.batch import Claim, Record, Row, State, Verdict
from dify_workflow_async.batch._rows import BadRow, Read, Reader, digest_of
from dify_workflow_async.errors import ConfigurationError, InvalidInputs


async def read_all(reader: Reader) -> list[Row | Exception]:
    """All rows, and what is wrong with those that are none."""
    found: list[Row | Exception] = []
    while True:
        try:
            read, _ = await reader.read()
        except StopAsyncIteration:
            return found
        except BadRow as bad:
            found.append(bad.cause)
        else:
            found.append(read.row)


async def keys(rows: Any, **how: Any) -> list[str]:
    """The keys of all rows, or the sentences of what is wrong with them."""
    reader = Reader(rows, how.get("key"), how.get("digest"))
    found = await read_all(reader)
    return [row.key if isinstance(row, Row) else str(row) for row in found]


async def test_without_a_journal_a_row_is_known_by_its_number() -> None:
    """Nothing is computed for it."""
    assert await keys([{"a": 1}, {"a": 1}, {}]) == ["0", "1", "2"]


async def test_equal_rows_are_known_by_their_order() -> None:
    """The key is the digest of the inputs, and which of the equal ones it is."""
    one, other = await digest_of({"a": 1}), await digest_of({"a": 2})
    found = await keys([{"a": 1}, {"a": 2}, {"a": 1}], digest=digest_of)
    assert found == [f"{one}#1", f"{other}#1", f"{one}#2"]


async def test_the_order_of_inputs_does_not_count() -> None:
    """Nor does how a text is written in the program; values do, and their types."""
    same = await digest_of({"a": 1, "b": {"c": "é", "d": None}})
    assert same == await digest_of({"b": {"d": None, "c": "\u00e9"}, "a": 1})
    assert same != await digest_of({"a": 1.0, "b": {"c": "é", "d": None}})
    assert len(same) == 64


async def test_a_column_is_the_key() -> None:
    """Texts and integers are keys; a row without one, or with another type, is bad."""
    rows = [{"id": "a"}, {"id": 7}, {}, {"id": ""}, {"id": True}, {"id": None}]
    assert await keys(rows, key="id") == [
        "a",
        "7",
        "id: is the key of the rows, and is missing here",
        "a key is a text or an integer, not ''",
        "a key is a text or an integer, not True",
        "a key is a text or an integer, not None",
    ]


async def test_a_function_makes_the_key() -> None:
    """What it raises is wrong with its row alone."""
    found = await keys([{"n": 1}, {}, {"n": 3}], key=lambda row: f"row {row['n']}")
    assert found == ["row 1", "'n'", "row 3"]


@pytest.mark.parametrize("row", [3, None, "text", [("a", 1)]])
async def test_a_row_that_is_no_mapping(row: Any) -> None:
    """It is told by its type, and the next one is read."""
    first, second = await read_all(Reader([row, {}], None, None))
    assert isinstance(first, InvalidInputs)
    assert type(row).__name__ in str(first)
    assert second == Row(index=1, key="1", inputs={})


async def test_inputs_that_cannot_be_sent_have_no_digest() -> None:
    """The problem is told with its path."""
    (found,) = await read_all(Reader([{"a": {"b": object()}}], "a", digest_of))
    assert str(found) == "a.b: object cannot be sent as JSON"


@pytest.mark.parametrize("rows", ["text", b"bytes", {"a": 1}, 5, None])
def test_what_holds_no_rows(rows: Any) -> None:
    """It is refused at once."""
    with pytest.raises(ConfigurationError, match="iterable of mappings"):
        Reader(rows, None, None)


def test_what_is_no_key() -> None:
    """A key is a name or a function."""
    with pytest.raises(ConfigurationError, match="not 5"):
        Reader([], 5, None)  # type: ignore[arg-type]


async def test_rows_are_read_one_by_one() -> None:
    """No generator is asked for more than was read."""
    given: list[int] = []

    def endless() -> Iterator[dict[str, int]]:
        while True:
            given.append(len(given))
            yield {}

    reader = Reader(endless(), None, None)
    await reader.read()
    await reader.read()
    assert given == [0, 1]


async def test_async_rows() -> None:
    """An async iterable is read like any other; its iterator is closed, a given one not."""
    closed: list[str] = []

    async def generate(name: str) -> AsyncIterator[dict[str, int]]:
        try:
            yield {"n": 1}
            yield {"n": 2}
        finally:
            closed.append(name)

    class Source:
        def __aiter__(self) -> AsyncIterator[dict[str, int]]:
            return generate("own")

    assert await keys(Source()) == ["0", "1"]
    closed.clear()

    own, given = Reader(Source(), None, None), generate("given")
    await own.read()
    await own.close()
    assert closed == ["own"]

    reader = Reader(given, None, None)
    await reader.read()
    await reader.close()
    assert closed == ["own"]
    assert await anext(given) == {"n": 2}
    await given.aclose()


async def test_a_dict_that_is_filled_again() -> None:
    """Each row keeps what was in it when it was read."""

    def fill() -> Iterator[dict[str, int]]:
        row: dict[str, int] = {}
        for row["n"] in range(3):
            yield row

    found = await read_all(Reader(fill(), None, None))
    assert [row.inputs for row in found if isinstance(row, Row)] == [
        {"n": n} for n in range(3)
    ]


async def test_rows_whose_iterator_is_ours() -> None:
    """It is closed, so that a file behind it is not open for long; a given one is not."""
    closed: list[str] = []

    def generate(name: str) -> Iterator[dict[str, int]]:
        try:
            yield {"n": 1}
            yield {"n": 2}
        finally:
            closed.append(name)

    class Source:
        def __iter__(self) -> Iterator[dict[str, int]]:
            return generate("own")

    own, given = Reader(Source(), None, None), generate("given")
    await own.read()
    await own.close()
    assert closed == ["own"]

    reader = Reader(given, None, None)
    await reader.read()
    await reader.close()
    assert next(given) == {"n": 2}


async def test_rows_that_were_claimed_before() -> None:
    """They keep their key, digest and number, and come with their claim."""
    row = Row(index=41, key="k", inputs={"a": 1}, digest="d")
    record = Record(key="k", digest="d", state=State.STARTED)
    claim = Claim(verdict=Verdict.RUN, record=record, row=row)
    read, found = await Reader([claim], None, digest_of).read()
    assert found is claim
    assert isinstance(read, Read)
    assert (read.row, read.number) == (row, 0)
