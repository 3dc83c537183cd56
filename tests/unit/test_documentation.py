"""What the documentation shows is what its tests run."""

from __future__ import annotations

import re
import runpy
import shlex
import tomllib

from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from dify_workflow_async.cli._app import cli
from dify_workflow_async.cli._profiles import read_profiles


ROOT = Path(__file__).parents[2]
PAGES = [*ROOT.glob("README*.md"), *(ROOT / "docs").rglob("*.md")]

KEPT = re.compile(r"^```(?:python|yaml)\n# (\S+\.(?:py|yml))$", re.MULTILINE)
USED = r'^(?:\$ python {0}|serve\("{0}"\)|.*\["?sys.executable"?, "{0}"\])'

PICTURE = ROOT / "docs" / "explanation" / "data-flow.svg"

README = ROOT / "README.md"
CHINESE = ROOT / "README.zh.md"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
MARKED = re.compile(
    r"<!-- begin ([\w ]+) -->\n```sh\n(.*?)```\n<!-- end -->", re.DOTALL
)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_file_that_a_page_makes_is_used_by_it(page):
    """A block that is kept as a file (see ``conftest.py``) is run by no other way."""
    text = page.read_text("utf-8")

    for name in KEPT.findall(text):
        assert re.search(USED.format(re.escape(name)), text, re.MULTILINE), name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_blocks_are_run_or_are_no_code(page):
    """Python and YAML are run or kept, ``sh`` is for what a test cannot do."""
    text = page.read_text("utf-8")

    languages = set(re.findall(r"^```([\w-]+)$", text, re.MULTILINE))
    assert languages <= {"python", "console", "yaml", "toml", "sh", "text"}
    assert text.count("```yaml\n") == text.count("```yaml\n# ")


def shell_commands() -> Iterator[list[str]]:
    """The words behind ``dify-workflow`` in the blocks that are not run."""
    for page in PAGES:
        for language, block in BLOCK.findall(page.read_text("utf-8")):
            lines = block.replace("\\\n", " ").splitlines()
            for line in lines if language == "sh" else ():
                words = shlex.split(line.partition(" | ")[0], comments=True)
                if words[:1] == ["dify-workflow"]:
                    yield words[1:]


def test_commands_that_are_not_run_have_options_that_there_are():
    """What a reader types is understood, although no test types it."""
    commands = list(shell_commands())

    context = click.Context(cli)
    for name, *words in commands:
        command = cli.get_command(context, name)
        assert command is not None, name
        known = {option for each in command.params for option in each.opts}
        assert {word for word in words if word.startswith("-")} <= known, words
    assert len(commands) >= 5


def test_files_of_profiles_are_read(tmp_path):
    """What is shown as a config file is one."""
    shown = [
        block
        for page in PAGES
        for language, block in BLOCK.findall(page.read_text("utf-8"))
        if language == "toml"
    ]
    assert shown
    path = tmp_path / "config.toml"
    for block in shown:
        path.write_text(block, "utf-8")
        profiles = read_profiles(path)
        assert profiles[profiles.default].keys


def test_extras_are_those_of_the_package():
    """What is to be installed can be installed."""
    text = "".join(page.read_text("utf-8") for page in PAGES)
    named = {
        extra
        for extras in re.findall(r"dify-workflow-async\[([a-z,]+)\]", text)
        for extra in extras.split(",")
    }
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]

    assert named <= set(project["optional-dependencies"])
    assert {"cli", "batch", "engine"} <= named


def test_what_others_cost_is_what_was_measured():
    """The page that compares clients has the figures of the page that measures them."""
    pages = ROOT / "docs/explanation"
    measured = (pages / "performance.md").read_text("utf-8")
    compared = (pages / "why-this-client.md").read_text("utf-8")
    others = ["dify-client-python", "dify-oapi2", "dify-sdk", "dify-api-client"]
    works = {
        "one stream of 200,000 texts": "200,000 texts, `async for`",
        "2,000 small runs, 50 at once": "2,000 runs, 50 at once",
        "2,000 small runs, 1,000 at once": "2,000 runs, 1,000 at once",
    }

    for line, title in works.items():
        (_, table) = measured.split(f"**{title}**\n")
        rows = [row.split(" | ") for row in table.partition("\n**")[0].splitlines()]
        ratios = {row[0].strip("| "): row[3].split()[0] for row in rows if len(row) > 4}
        told = " | ".join(ratios[name] for name in [*others, "handmade"])
        assert f"| {line} | {told} |" in compared


@pytest.mark.parametrize("readme", [README, CHINESE], ids=["English", "Chinese"])
def test_links_of_the_readmes_lead_somewhere(readme):
    """Sphinx looks after those of the other pages."""
    links = re.findall(r"\]\(([^)#]+)\)", readme.read_text("utf-8"))
    own = [link for link in links if not link.startswith("https://")]

    assert [link for link in own if not (ROOT / link).exists()] == []
    assert len(own) > 5


def test_both_readmes_have_the_same_blocks():
    """Who reads Chinese sees the same programs, commands and outputs."""
    blocks = BLOCK.findall(README.read_text("utf-8"))

    assert BLOCK.findall(CHINESE.read_text("utf-8")) == blocks
    assert len(blocks) >= 5


def test_both_readmes_have_the_same_marked_commands():
    """Programs look for these, and run them word for word."""
    commands = dict(MARKED.findall(README.read_text("utf-8")))

    assert dict(MARKED.findall(CHINESE.read_text("utf-8"))) == commands
    assert set(commands) == {"demo command", "test command"}


def test_both_readmes_say_the_same_number_of_things():
    """A heading, a bullet or a picture that is added is added to both."""
    shapes = [
        [re.match(r"(#+ |- |!\[|<!--)?", line)[0] for line in text.splitlines()]
        for text in (README.read_text("utf-8"), CHINESE.read_text("utf-8"))
    ]
    one, other = ([mark for mark in shape if mark] for shape in shapes)

    assert one == other


def test_the_programs_of_the_readme_are_short():
    """Two of them, of under fifteen lines each, blank ones not counted."""
    programs = [
        text
        for language, text in BLOCK.findall(README.read_text("utf-8"))
        if language == "python"
    ]

    assert len(programs) == 2
    for text in programs:
        assert len([line for line in text.splitlines() if line.strip()]) < 15


def masked(lines: list[str]) -> list[str]:
    """Lines without what differs from run to run, and without blanks."""
    kept = (re.sub(r"\s|[0-9a-f-]{36}|\d", "", line) for line in lines)
    return [line for line in kept if line]


def test_the_recorded_terminal_shows_what_the_demo_prints():
    """To make it anew: ``python docs/_make/terminal.py``."""
    make = runpy.run_path(str(ROOT / "docs" / "_make" / "terminal.py"))
    recorded = make["shown"](make["PICTURE"].read_text("utf-8"))
    printed = [line.plain for line in make["fold"](make["record"]())]

    assert masked(recorded) == masked(printed)
    assert "http" not in make["PICTURE"].read_text("utf-8").replace(
        "http://www.w3.org", ""
    ).replace("http://127.0.0.1", "")


def test_the_picture_of_the_architecture_shows_rooms_that_are_there():
    """A module that is renamed is renamed there, too."""
    text = " ".join(
        re.findall(r"<text[^>]*>([^<]*)</text>", PICTURE.read_text("utf-8"))
    )
    rooms = {path.stem for path in (ROOT / "dify_workflow_async").iterdir()}

    shown = set(re.findall(r"\b_[a-z_]+\b", text))
    assert shown <= rooms
    assert len(shown) > 15
