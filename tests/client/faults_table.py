"""Each fault, and what the user of the client sees of it: one table.

The tests of ``test_faults.py`` and ``test_faults_and_leaving.py`` are made from it, and so are the tables in
``docs/explanation/reliability.md``, which ``python -m tests.client.faults_table``
writes anew.
"""

from __future__ import annotations

from pathlib import Path

from . import _faults_and_leaving, _faults_elsewhere, _faults_of_streams
from ._fault_row import Row
from ._faults_and_leaving import Left


PAGE = Path(__file__).parents[2] / "docs" / "explanation" / "reliability.md"
BEGIN = "<!-- begin table of faults -->\n"
END = "<!-- end table of faults -->\n"

ROWS: dict[str, Row] = {**_faults_of_streams.ROWS, **_faults_elsewhere.ROWS}
TABLE: dict[str, Row | Left] = {**ROWS, **_faults_and_leaving.ROWS}


def table() -> str:
    """Write the tables of the page."""
    phases = dict.fromkeys(row.phase for row in TABLE.values())
    return "\n".join(_section(phase) for phase in phases)


def _section(phase: str) -> str:
    rows = [(name, row) for name, row in TABLE.items() if row.phase == phase]
    lines = [
        f"### {phase}\n",
        "| what happens | promise | what you see | test |",
        "| --- | --- | --- | --- |",
    ]
    lines += [
        f"| {row.what}{_only(row)} | {row.promise} | {row.seen} | `{name}` |"
        for name, row in rows
    ]
    return "\n".join(lines) + "\n"


def _only(row: Row | Left) -> str:
    return f" (Dify {row.versions[0]})" if len(row.versions) == 1 else ""


def page_with_table(page: str) -> str:
    """Put the table between its marks in the text of the page."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{table()}\n{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(page_with_table(PAGE.read_text("utf-8")), "utf-8")
