"""What `run` and `attach` have in common: how a run is followed, and told of."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import attrs
import click

from .. import RunStream, WorkflowClient
from ..errors import ConfigurationError
from ..models import RunResult
from ._display import display
from ._exit import DONE, FAILED, INTERRUPTED, PAUSED
from ._options import F, gathered
from ._outcome import Style, download, show_pause, show_result
from ._show import console, on_terminal
from ._signals import Interrupts, on_interrupt
from ._text import printable
from ._watch import Watch, Wishes


@attrs.frozen(kw_only=True)
class Telling:
    """What is told of a result: the options that `wait` has, too.

    Attributes:
        output: the style of the result; None: as fits standard output.
        quiet: nothing is shown before the result.
        downloads: where the files of the result are to be saved.
    """

    output: Style | None
    quiet: bool
    downloads: Path | None

    @property
    def style(self) -> Style:
        """A table for people, and the outputs as JSON for programs."""
        return self.output or ("table" if on_terminal(console()) else "outputs")

    async def tell(
        self,
        client: WorkflowClient,
        result: RunResult,
        *,
        shows_result: bool = True,
        streamed: str | None = None,
    ) -> int:
        """Print the result, and save its files.

        Returns:
            The exit status.

        Raises:
            RunFailed, RunStopped: the run ended so.
            DifyError: a file could not be had.
        """
        saved = True
        if shows_result:
            show_result(result, self.style, streamed=streamed)
        if self.downloads is not None:
            try:
                await download(client, result, self.downloads)
            except OSError as error:
                told = printable(f"{self.downloads}: {error.strerror}")
                click.echo(f"Error: {told}", err=True)
                saved = False
        if result.status == "paused":
            show_pause(result)
            return PAUSED
        result.raise_for_status()
        return DONE if saved else FAILED


@attrs.frozen(kw_only=True)
class Following(Telling):
    """What the options say of how a run is followed; see `followed`.

    Attributes:
        events: each event goes to standard output, and no result.
    """

    events: bool
    timeline: Path | None
    speech: Path | None
    timeout: float | None
    on_cancel: Literal["stop", "detach"] | None

    def of_the_end(self) -> list[str]:
        """The options that were given for what comes after a run's beginning."""
        given = {
            "--json": self.events,
            "--timeline": self.timeline,
            "--save-audio": self.speech,
            "--download": self.downloads,
        }
        return [option for option, value in given.items() if value]

    def check(self) -> None:
        """Find what would fail only at the end.

        Raises:
            DifyError: a file cannot be written there.
        """
        if self.events and self.output is not None:
            msg = "--json prints events and no result, so that --output has no meaning"
            raise ConfigurationError(msg)
        if self.timeline is not None:
            from ..timeline import check_path

            check_path(self.timeline)
        for path in (self.timeline, self.speech):
            if path is not None and not path.parent.is_dir():
                msg = f"{path}: there is no folder {str(path.parent)!r}"
                raise ConfigurationError(msg)

    async def through(
        self, client: WorkflowClient, run: RunStream, *, stops: bool = True
    ) -> int:
        """Follow a run to its end, and tell its result.

        Args:
            client: whose run it is.
            run: not yet entered.
            stops: Ctrl-C stops the run, if ``on_cancel`` does not say otherwise.

        Returns:
            The exit status.
        """
        out = console()
        shown = display(console(err=True), run, quiet=self.quiet or self.events)
        together = shown.shows_text and on_terminal(out)
        writes_text = self.style == "text" and not (self.events or together)
        default: Literal["stop", "detach"] = "stop" if stops else "detach"
        wishes = Wishes(
            events=self.events,
            text=writes_text,
            timeline=self.timeline,
            speech=self.speech,
            on_cancel=self.on_cancel or default,
        )
        interrupts = Interrupts()
        with on_interrupt(interrupts):
            watch = Watch(run, wishes, shown, interrupts)
            result = await watch.through()
        streamed = run.text if together or writes_text else None
        if interrupts.count and not result.is_success:
            shown.say(f"the run has ended {result.status}")
            return INTERRUPTED
        status = await self.tell(
            client, result, shows_result=not self.events, streamed=streamed
        )
        return status if watch.saved else FAILED


def telling(command: F) -> F:
    """Add the options of `Telling`, and hand them to *command* as ``telling``."""
    return gathered(command, Telling, "telling", _TELLING)


def followed(command: F) -> F:
    """Add the options of `Following`, and hand them to *command* as ``following``."""
    return gathered(command, Following, "following", _TELLING + _FOLLOWING)


_TELLING = (
    click.option(
        "-o",
        "--output",
        type=click.Choice(["table", "json", "outputs", "text"]),
        help="How the result goes to standard output: a table, which is the default on a "
        "terminal; all of it as JSON; its outputs as JSON, the default elsewhere; or the "
        "text alone, as it comes.",
    ),
    click.option("-q", "--quiet", is_flag=True, help="Show nothing but the result."),
    click.option(
        "--download",
        "downloads",
        type=click.Path(path_type=Path, file_okay=False),
        metavar="FOLDER",
        help="Save the files of the result there.",
    ),
)
_FOLLOWING = (
    click.option(
        "--json",
        "events",
        is_flag=True,
        help="Print each event as the server sent it, one a line, and no result.",
    ),
    click.option(
        "--timeline",
        type=click.Path(path_type=Path, dir_okay=False),
        metavar="FILE",
        help="Save a timeline of the nodes.",
    ),
    click.option(
        "--save-audio",
        "speech",
        type=click.Path(path_type=Path, dir_okay=False),
        metavar="FILE",
        help="Save the speech, an MP3.",
    ),
    click.option(
        "--timeout",
        type=click.FloatRange(0, min_open=True),
        help="Seconds that the run may take.",
    ),
    click.option(
        "--on-cancel",
        type=click.Choice(["stop", "detach"]),
        help="What Ctrl-C does with the run: stop it, or let it go on.",
    ),
)
