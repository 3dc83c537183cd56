"""``dify-workflow serve``: a server to run and test against."""

from __future__ import annotations

import asyncio

from pathlib import Path

import click

from ..local import (
    App,
    LocalServer,
    RecordingError,
    Replay,
    Scenario,
    ScenarioError,
    demo_scenario,
)
from ._signals import on_interrupt


@click.command()
@click.argument(
    "apps", nargs=-1, type=click.Path(exists=True, path_type=Path), metavar="[APP]..."
)
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=8000, show_default=True, help="0 takes a free one.")
@click.option(
    "--dify",
    "version",
    default="1.14.2",
    show_default=True,
    help="Version of Dify to behave like; what changed with 1.13 is known.",
)
@click.option(
    "--key",
    "keys",
    multiple=True,
    help="API key of an app, in the order of the apps; made up if not given. These "
    "are keys of this server, not of a Dify.",
)
def serve(
    apps: tuple[Path, ...], host: str, port: int, version: str, keys: tuple[str, ...]
) -> None:
    """Serve apps under Dify's API, each with a key of its own.

    APP is a scenario (.yml, .yaml), a recorded answer (.http), or a folder of such
    answers, which are told apart by the requests recorded beside them (.req).
    Without any, the workflow of the demo is served.
    """
    if len(keys) > max(1, len(apps)):
        msg = f"{len(keys)} keys for {max(1, len(apps))} apps"
        raise click.UsageError(msg)
    try:
        made = [_app(path) for path in apps] or [App(demo_scenario(), name="demo")]
        for app, key in zip(made, keys, strict=False):
            app.key = key
        server = LocalServer(made, version=version, host=host, port=port)
    except (ScenarioError, RecordingError, ValueError) as error:
        raise click.ClickException(str(error)) from error
    asyncio.run(_serve(server))


def _app(path: Path) -> App:
    if path.suffix in {".yml", ".yaml"}:
        return App(Scenario.from_yaml(path), name=path.stem)
    return App(Replay(path), name=path.stem)


async def _serve(server: LocalServer) -> None:
    """Serve until an interrupt or a termination, both of which are a clean end."""
    stop = asyncio.Event()
    with on_interrupt(stop.set):
        try:
            await server.start()
        except OSError as error:
            raise click.ClickException(str(error)) from error
        try:
            click.echo(f"export DIFY_BASE_URL={server.base_url}")
            for app in server.apps:
                click.echo(f"export DIFY_API_KEY={app.key}  # {app.name}")
            await stop.wait()
        finally:
            await server.aclose()
