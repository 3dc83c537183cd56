"""Make the tables of docs/reference/events.md from the classes.

``python docs/_make/events.py`` writes them anew; a test fails if they differ.
"""

from __future__ import annotations

import inspect
import re

from collections.abc import Iterator
from pathlib import Path

import attrs

from dify_workflow_async.events import EVENTS, Event


PAGE = Path(__file__).parents[1] / "reference" / "events.md"
BEGIN, END = "<!-- begin tables -->\n", "<!-- end tables -->\n"
COMMON = {field.name for field in attrs.fields(Event)}


def tables() -> str:
    """Write a table of all events, and one of the fields of each."""
    lines = [
        "| event | class | since | what it says |",
        "| --- | --- | --- | --- |",
        *(
            f"| [`{name}`](#{name}) | `{cls.__name__}`"
            f" | {versions(cls.since, cls.gone)} | {summary(cls)} |"
            for name, cls in EVENTS.items()
        ),
    ]
    for name, cls in EVENTS.items():
        lines += ["", f"### {name}", "", f"`{cls.__name__}`: {summary(cls)}"]
        if fields := [each for each in attrs.fields(cls) if each.name not in COMMON]:
            lines += [
                "",
                "| field | type | since | what it is |",
                "| --- | --- | --- | --- |",
                *(row(cls, field) for field in fields),
            ]
    return "\n".join([*lines, ""])


def row(cls: type[Event], field: attrs.Attribute[object]) -> str:
    """Write the line of one field."""
    since, gone = (field.metadata.get(key, "") for key in ("since", "gone"))
    about = described(cls).get(field.name, "").removesuffix(".")
    kind = str(field.type).removesuffix(" | None")
    return f"| `{field.name}` | `{kind}` | {versions(since, gone)} | {about} |"


def versions(since: str, gone: str) -> str:
    """Tell from which version on, and since which no more."""
    return ", ".join(part for part in (since, gone and f"gone in {gone}") if part)


def summary(cls: type[Event]) -> str:
    """Take the first line of a class's docstring."""
    return markdown(inspect.getdoc(cls) or "").partition("\n")[0]


def described(cls: type[Event]) -> dict[str, str]:
    """Take what the docstrings of a class and its bases say of their fields."""
    found: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        found.update(attributes(base.__doc__ or ""))
    return found


def attributes(docstring: str) -> Iterator[tuple[str, str]]:
    """Read the section *Attributes* of a docstring."""
    _, _, section = inspect.cleandoc(docstring).partition("Attributes:\n")
    for part in re.split(r"^    (?=\w)", section, flags=re.MULTILINE)[1:]:
        name, _, about = part.partition(":")
        yield name, markdown(" ".join(about.split()))


def markdown(text: str) -> str:
    """Write reStructuredText's literals as Markdown does."""
    return text.replace("``", "`")


def page(old: str) -> str:
    """Put the tables between their marks in the text of the page."""
    before, _, rest = old.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{tables()}\n{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text("utf-8")), "utf-8")
