"""``dify-workflow profiles``: which servers and apps go by a name."""

from __future__ import annotations

import click

from ._exit import carry_out
from ._profiles import read_profiles
from ._show import show_json, show_table


@click.command()
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def profiles(*, as_json: bool) -> None:
    """List the profiles of the config file: servers, users and apps, never keys.

    The file is DIFY_WORKFLOW_CONFIG, else config.toml among your settings.
    """
    carry_out(_list(as_json=as_json))


async def _list(*, as_json: bool) -> None:
    found = read_profiles()
    if as_json:
        listed = [
            {
                "name": each.name,
                "is_default": each.name == found.default,
                "base_url": each.base_url,
                "user": each.user,
                "app": each.app,
                "apps": list(each.keys),
            }
            for each in found.values()
        ]
        show_json({"path": str(found.path), "profiles": listed})
    elif not found:
        click.echo(f"there are no profiles in {found.path}", err=True)
    else:
        show_table(
            ("profile", "server", "user", "apps"),
            [
                (
                    each.name + (" (default)" if each.name == found.default else ""),
                    each.base_url or "Dify Cloud",
                    each.user or "",
                    ", ".join(each.keys),
                )
                for each in found.values()
            ],
        )
