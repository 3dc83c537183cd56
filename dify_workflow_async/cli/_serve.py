"""``dify-workflow serve``: a server to run and test against."""

from __future__ import annotations

import asyncio

from pathlib import Path

import click

from ..local import (
    App,
    DslError,
    LocalServer,
    Model,
    OpenAIModel,
    RecordingError,
    Replay,
    Scenario,
    ScenarioError,
    StubModel,
    demo_scenario,
    is_dsl,
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
@click.option(
    "--llm-url",
    help="What answers the language models of exported apps: an endpoint that speaks "
    "OpenAI's API, such as http://127.0.0.1:11434/v1. The key is OPENAI_API_KEY of the "
    "environment. Without it they are answered by a stub that echoes.",
)
@click.option("--llm-model", help="The model to ask for, whatever the nodes name.")
@click.option(
    "--llm-stub",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="What the stub says: a file (.yml) with replies.",
)
def serve(
    apps: tuple[Path, ...],
    *,
    host: str,
    port: int,
    version: str,
    keys: tuple[str, ...],
    llm_url: str | None,
    llm_model: str | None,
    llm_stub: Path | None,
) -> None:
    """Serve apps under Dify's API, each with a key of its own.

    APP is an app that Dify exported (.yml; extra engine), a scenario (.yml, .yaml), a
    recorded answer (.http), or a folder of such answers, which are told apart by the
    requests recorded beside them (.req). Without any, the workflow of the demo is
    served.

    Exported apps run on Dify's own engine; the Python of their code nodes can do all
    that you can do, so serve workflows of your own only.
    """
    if llm_url and llm_stub:
        msg = "--llm-url and --llm-stub exclude each other"
        raise click.UsageError(msg)
    if len(keys) > max(1, len(apps)):
        msg = f"{len(keys)} keys for {max(1, len(apps))} apps"
        raise click.UsageError(msg)
    try:
        model = _model(llm_url, llm_model, llm_stub)
        made = [_app(path, model) for path in apps]
        made = made or [App(demo_scenario(), name="demo")]
        for app, key in zip(made, keys, strict=False):
            app.key = key
        server = LocalServer(made, version=version, host=host, port=port)
    except (ScenarioError, RecordingError, ValueError, ModuleNotFoundError) as error:
        raise click.UsageError(str(error)) from error
    asyncio.run(_serve(server))


def _model(url: str | None, name: str | None, stub: Path | None) -> Model:
    if url:
        return OpenAIModel(url=url, name=name)
    return StubModel.from_yaml(stub) if stub else StubModel()


def _app(path: Path, model: Model) -> App:
    if path.suffix not in {".yml", ".yaml"}:
        return App(Replay(path), name=path.stem)
    try:
        if is_dsl(path):
            return App.from_dsl(path, model=model)
        return App(Scenario.from_yaml(path), name=path.stem)
    except (DslError, ScenarioError) as error:
        msg = f"{path}: {error}"
        raise click.UsageError(msg) from error


async def _serve(server: LocalServer) -> None:
    """Serve until an interrupt or a termination, both of which are a clean end."""
    stop = asyncio.Event()
    with on_interrupt(stop.set):
        try:
            await server.start()
        except OSError as error:
            msg = f"{error} (--port takes another one)"
            raise click.UsageError(msg) from error
        except DslError as error:
            raise click.UsageError(str(error)) from error
        try:
            click.echo(f"export DIFY_BASE_URL={server.base_url}")
            for app in server.apps:
                click.echo(f"export DIFY_API_KEY={app.key}  # {app.name}")
            await stop.wait()
        finally:
            await server.aclose()
