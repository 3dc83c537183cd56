"""The ``dify-workflow`` command.

Its libraries are the extra ``cli``: without them the command says what to install.
"""

from __future__ import annotations

import sys


_EXTRA = {"click", "rich", "yaml"}


def main() -> None:
    """Run ``dify-workflow``; the entry point of the package."""
    try:
        from ._app import cli

        cli.main(prog_name="dify-workflow")
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing not in _EXTRA:
            raise
        sys.exit(
            f"dify-workflow needs {missing}: pip install 'dify-workflow-async[cli]'"
        )
