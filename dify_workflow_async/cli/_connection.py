"""Which app on which server, for which end user: the options that verbs share."""

from __future__ import annotations

import os

from typing import Any

import attrs
import click

from click.shell_completion import CompletionItem

from .. import WorkflowClient
from ..errors import ConfigurationError
from ._options import F, gathered
from ._profiles import Profile, Profiles, config_path, read_profiles


USER = "dify-workflow"
"""The end user of who names none."""


@attrs.frozen(kw_only=True)
class Connection:
    """What the options said; it holds no key, and may go to other processes.

    What is named by an option goes first, then the profile that one names, then the
    environment, then the file's default profile. A profile is taken as a whole: no key
    of the environment goes to a server of the file.
    """

    profile: str | None = None
    app: str | None = None
    base_url: str | None = None
    user: str | None = None

    def client(self, **settings: Any) -> WorkflowClient:
        """A client for that app.

        Args:
            settings: for `WorkflowClient`.

        Raises:
            ConfigurationError: there is no such profile or key, or they contradict.
        """
        profile = self._profile()
        if profile is None:
            if not os.environ.get("DIFY_API_KEY"):
                raise _no_key()
            user = self.user or os.environ.get("DIFY_USER") or USER
            return WorkflowClient(None, self.base_url, user, **settings)
        key = profile.key(self.app)
        return WorkflowClient(
            # No name for the text: see _secret.
            key.reveal(),
            profile.base_url or "https://api.dify.ai/v1",
            self.user or profile.user or os.environ.get("DIFY_USER") or USER,
            **settings,
        )

    def _profile(self) -> Profile | None:
        """The profile to use, if not the environment."""
        named = self.profile or os.environ.get("DIFY_PROFILE")
        if named and self.base_url:
            msg = (
                "--base-url and a profile exclude each other: its keys are for its own"
            )
            raise ConfigurationError(msg)
        if named:
            return read_profiles()[named]
        if self.base_url or os.environ.get("DIFY_API_KEY"):
            profiles = None
        else:
            profiles = read_profiles()
        if profiles is not None and profiles.default is not None:
            return profiles[profiles.default]
        if self.app:
            msg = "--app names a key of a profile: give --profile, too"
            raise ConfigurationError(msg)
        return None


def _no_key() -> ConfigurationError:
    has = ", ".join(_profiles_if_any()) or "none"
    return ConfigurationError(
        f"no API key: set DIFY_API_KEY, or give the --profile of one; {config_path()} "
        f"has: {has}"
    )


def _complete_profiles(
    ctx: click.Context, parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    del ctx, parameter
    return [
        CompletionItem(name, help=each.base_url)
        for name, each in _profiles_if_any().items()
        if name.startswith(incomplete)
    ]


def _complete_apps(
    ctx: click.Context, parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    del parameter
    profiles = _profiles_if_any()
    named = ctx.params.get("profile") or os.environ.get("DIFY_PROFILE")
    profile = profiles.by_name.get(named or profiles.default or "")
    keys = profile.keys if profile else ()
    return [CompletionItem(key) for key in keys if key.startswith(incomplete)]


def _profiles_if_any() -> Profiles:
    """The profiles; a faulty file completes nothing, and is told of when it is used."""
    try:
        return read_profiles()
    except ConfigurationError:
        return Profiles(path=config_path())


def connected(command: F) -> F:
    """Add the options, and hand them to *command* as ``connection``."""
    return gathered(command, Connection, "connection", _OPTIONS)


_OPTIONS = (
    click.option(
        "--profile",
        shell_complete=_complete_profiles,
        help="Server and keys by name, from the config file; else DIFY_PROFILE, "
        "else DIFY_BASE_URL and DIFY_API_KEY, else the file's default.",
    ),
    click.option(
        "--app", shell_complete=_complete_apps, help="Which key of the profile."
    ),
    click.option("--base-url", help="The server; else DIFY_BASE_URL, else Dify Cloud."),
    click.option("--user", help="The end user; else the profile's, else DIFY_USER."),
)
