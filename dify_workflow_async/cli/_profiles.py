"""Servers and keys by name, in a file of the user's.

.. code-block:: toml

    profile = "work"                      # taken where nothing else is named

    [profiles.work]
    base_url = "https://dify.example.com/v1"
    user = "ada"
    app = "summaries"                     # one of the keys below

    [profiles.work.keys]
    summaries = { env = "SUMMARIES_KEY" }
    reports = { command = ["pass", "show", "dify/reports"] }

A key goes to the server of its profile and to no other.
"""

from __future__ import annotations

import os
import shlex
import stat
import subprocess
import tomllib

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import attrs
import click

from .._secret import Secret
from ..errors import ConfigurationError


SECONDS_FOR_A_KEY = 60
"""How long a command may take to tell a key; somebody may have to unlock it."""


@attrs.frozen(kw_only=True)
class Profile:
    """A server, an end user, and where the keys of apps come from.

    Attributes:
        app: the name of the key to take if none is named.
        keys: by the names of apps: a table with ``env`` or ``command``, or the key.
    """

    name: str
    base_url: str | None
    user: str | None
    app: str | None
    keys: Mapping[str, Any]

    def key(self, app: str | None) -> Secret:
        """The key of *app*, else of the profile's own choice, else its only one.

        Raises:
            ConfigurationError: there is no such key, or it cannot be had.
        """
        name = app or self.app
        if name is None:
            if len(self.keys) != 1:
                has = ", ".join(self.keys) or "none"
                msg = f"which app of profile {self.name!r}? --app is one of: {has}"
                raise ConfigurationError(msg)
            (name,) = self.keys
        if name not in self.keys:
            has = ", ".join(self.keys) or "none"
            msg = f"profile {self.name!r} has no key {name!r}; it has: {has}"
            raise ConfigurationError(msg)
        return _key(self.keys[name], f"key {name!r} of profile {self.name!r}")


@attrs.frozen(kw_only=True)
class Profiles(Mapping[str, Profile]):
    """The profiles of a file, by name.

    Attributes:
        default: the name of the one to take where nothing else is named.
    """

    path: Path
    default: str | None = None
    by_name: Mapping[str, Profile] = attrs.field(factory=dict[str, Profile])

    def __getitem__(self, name: str) -> Profile:
        """The profile of this name.

        Raises:
            ConfigurationError: there is none.
        """
        if name not in self.by_name:
            has = ", ".join(self.by_name) or "none"
            msg = f"there is no profile {name!r} in {self.path}; there is: {has}"
            raise ConfigurationError(msg)
        return self.by_name[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.by_name)

    def __len__(self) -> int:
        return len(self.by_name)


def config_path() -> Path:
    """``DIFY_WORKFLOW_CONFIG``, else ``config.toml`` where the system has settings."""
    named = os.environ.get("DIFY_WORKFLOW_CONFIG")
    return Path(named or Path(click.get_app_dir("dify-workflow"), "config.toml"))


def read_profiles(path: Path | None = None) -> Profiles:
    """Read the file; none at all has no profiles.

    Raises:
        ConfigurationError: it is not as this module says, or shows keys to others.
    """
    path = path or config_path()
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        return Profiles(path=path)
    except OSError as error:
        msg = f"{path} cannot be read: {error.strerror}"
        raise ConfigurationError(msg) from error
    try:
        found = tomllib.loads(text.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        msg = f"{path} is not TOML: {error}"
        raise ConfigurationError(msg) from None  # it quotes nothing, yet holds it
    tables = _table(found, "profiles", str(path))
    by_name = {name: _profile(name, tables, path) for name in tables}
    profiles = Profiles(
        path=path, default=_text(found, "profile", path), by_name=by_name
    )
    if profiles.default is not None:
        profiles[profiles.default]  # it is there
    if any(
        isinstance(key, str) for each in by_name.values() for key in each.keys.values()
    ):
        _refuse_readable(path)
    return profiles


def _profile(name: str, tables: Mapping[str, Any], path: Path) -> Profile:
    where = f"profile {name!r} in {path}"
    table = _table(tables, name, where)
    unknown = set(table) - {"base_url", "user", "app", "keys"}
    if unknown:
        msg = f"{where} has unknown settings: {', '.join(sorted(unknown))}"
        raise ConfigurationError(msg)
    return Profile(
        name=name,
        base_url=_text(table, "base_url", where),
        user=_text(table, "user", where),
        app=_text(table, "app", where),
        keys=_table(table, "keys", where),
    )


def _table(table: Mapping[str, Any], name: str, where: object) -> dict[str, Any]:
    value = table.get(name, {})
    if not isinstance(value, dict):
        msg = f"{name!r} of {where} must be a table"
        raise ConfigurationError(msg)
    return cast("dict[str, Any]", value)


def _text(table: Mapping[str, Any], name: str, where: object) -> str | None:
    value = table.get(name)
    if value is not None and not isinstance(value, str):
        msg = f"{name!r} of {where} must be a text"
        raise ConfigurationError(msg)
    return value


def _refuse_readable(path: Path) -> None:
    """As ssh does with private keys."""
    if os.name == "posix" and stat.S_IMODE(path.stat().st_mode) & 0o077:
        msg = f"{path} holds keys and can be read by others: chmod 600 {path}"
        raise ConfigurationError(msg)


def _key(source: Any, what: str) -> Secret:
    match source:
        case str():
            return Secret(source)
        case {"env": str(name), **rest} if not rest:
            if not os.environ.get(name):
                msg = f"{what} is in {name} of the environment, which is not set"
                raise ConfigurationError(msg)
            return Secret(os.environ[name])
        case {"command": command, **rest} if not rest:
            return _told(command, what)
        case _:
            msg = f"{what} must be {{ env = ... }}, {{ command = ... }} or a text"
            raise ConfigurationError(msg)


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _told(command: Any, what: str) -> Secret:
    """What a command prints on its first line; it may ask on the terminal."""
    words = cast("list[Any]", shlex.split(command) if _is_text(command) else command)
    if not (type(words) is list and words and all(map(_is_text, words))):
        msg = f"the command of {what} must be texts"
        raise ConfigurationError(msg)
    try:
        done = subprocess.run(  # noqa: S603 - the user's own command
            words, stdout=subprocess.PIPE, check=False, timeout=SECONDS_FOR_A_KEY
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        why = getattr(error, "strerror", None) or f"no end in {SECONDS_FOR_A_KEY} s"
        msg = f"the command of {what}, {words[0]!r}, did not work: {why}"
        raise ConfigurationError(msg) from None
    if done.returncode:
        msg = f"the command of {what}, {words[0]!r}, ended with {done.returncode}"
        raise ConfigurationError(msg)
    first, _, _ = done.stdout.partition(b"\n")
    if not first.strip():
        msg = f"the command of {what}, {words[0]!r}, printed no key"
        raise ConfigurationError(msg)
    return Secret(first.decode(errors="replace"))
