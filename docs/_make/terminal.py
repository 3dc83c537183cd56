"""Make docs/demo.svg, the recorded terminal of README.md, by running the demo.

``python docs/_make/terminal.py`` makes it anew (extra ``cli``); a test fails if the demo
prints something else by now.
"""

from __future__ import annotations

import html
import io
import os
import re
import subprocess
import sys

from itertools import groupby
from pathlib import Path

from rich.console import Console
from rich.text import Text


PICTURE = Path(__file__).parents[1] / "demo.svg"
COLUMNS = 84
FOLD = 4  # So many alike in a row are shown as two, a gap and the last.

# As rich has it, but no font comes from the network, and screen readers get a title.
FORMAT = """\
<svg viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg" role="img">
<title>A terminal in which dify-workflow demo has printed the events of a run</title>
<style>
.{unique_id}-matrix {{
  font: {char_height}px/{line_height}px "Fira Code", "DejaVu Sans Mono", monospace;
}}
.{unique_id}-title {{ font: bold 18px sans-serif; }}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}"/>
</clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""


def record() -> list[Text]:
    """Run the demo in a terminal of our width; give its lines."""
    done = subprocess.run(
        [sys.executable, "-m", "dify_workflow_async.cli", "demo"],
        check=True,
        capture_output=True,
        text=True,
        env=os.environ | {"COLUMNS": str(COLUMNS), "FORCE_COLOR": "1"},
    )
    return [Text.from_ansi(line.rstrip()) for line in done.stdout.splitlines()]


def fold(lines: list[Text]) -> list[Text]:
    """Leave out most of many events of the same kind."""
    kept: list[Text] = []
    for name, group in groupby(lines, event_name):
        alike = list(group)
        if name and len(alike) >= FOLD:
            alike = [*alike[:2], Text("     ⋮", style="dim"), alike[-1]]
        kept += alike
    return kept


def event_name(line: Text) -> str:
    """Tell which event a line is about; empty if none."""
    found = re.match(r" *[\d.]+ s  (\w+)", line.plain)
    return found[1] if found else ""


def draw(lines: list[Text]) -> str:
    """Make the picture."""
    console = Console(
        file=io.StringIO(), record=True, width=COLUMNS, force_terminal=True
    )
    console.print(Text.assemble(("$ ", "green"), ("dify-workflow demo", "bold")))
    for line in lines:
        console.print(line, soft_wrap=True)
    return console.export_svg(
        title="dify-workflow", code_format=FORMAT, unique_id="demo"
    )


def shown(picture: str) -> list[str]:
    """Read the lines of a picture, without title and command."""
    lines: dict[float, str] = {}
    for y, text in re.findall(
        r'<text [^>]*? y="([\d.]+)"[^>]*>([^<]*)</text>', picture
    ):
        lines[float(y)] = lines.get(float(y), "") + html.unescape(text)
    matrix = [text.replace("\xa0", " ") for y, text in sorted(lines.items())]
    return matrix[2:]  # without the title of the window


if __name__ == "__main__":
    PICTURE.write_text(draw(fold(record())), "utf-8")
