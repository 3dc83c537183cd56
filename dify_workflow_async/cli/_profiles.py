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
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeGuard, cast

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
        keys: by the names of apps: a table with ``env`` or ``command``, or the key
            itself, as a `Secret`.
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
    _refuse_unknown(found, {"profile", "profiles"}, path)
    tables = _table(found, "profiles", path)
    by_name = {name: _profile(name, tables, path) for name in tables}
    profiles = Profiles(
        path=path, default=_text(found, "profile", path), by_name=by_name
    )
    if profiles.default is not None:
        profiles[profiles.default]  # it is there
    keys = (key for each in by_name.values() for key in each.keys.values())
    if any(isinstance(key, Secret) for key in keys):
        _refuse_readable(path)
    return profiles


def _profile(name: str, tables: Mapping[str, Any], path: Path) -> Profile:
    where = f"profile {name!r} in {path}"
    table = _table(tables, name, where)
    _refuse_unknown(table, {"base_url", "user", "app", "keys"}, where)
    keys = _table(table, "keys", where)
    base_url = _text(table, "base_url", where)
    _refuse_password(base_url or "", where)
    return Profile(
        name=name,
        base_url=base_url,
        user=_text(table, "user", where),
        app=_text(table, "app", where),
        keys={x: Secret(y) if isinstance(y, str) else y for x, y in keys.items()},
    )


def _refuse_password(base_url: str, where: str) -> None:
    """What is listed holds no secrets, and Dify takes none in its address."""
    server = base_url.rpartition("://")[2].partition("/")[0]
    if "@" in server:
        msg = f"'base_url' of {where} must have no user and no password"
        raise ConfigurationError(msg)


def _refuse_unknown(table: Mapping[str, Any], known: set[str], where: object) -> None:
    if unknown := sorted(set(table) - known):
        msg = f"{where} has unknown settings: {', '.join(unknown)}"
        raise ConfigurationError(msg)


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
        case Secret():
            if not source:  # for the client that would be none: it would look further
                msg = f"{what} is empty"
                raise ConfigurationError(msg)
            return source
        case {"env": str(name), **rest} if not rest:
            if not os.environ.get(name):
                msg = f"{what} is in {name} of the environment, which is not set"
                raise ConfigurationError(msg)
            return Secret(os.environ[name])
        case {"command": command, **rest} if not rest:
            return _told(_words(command, what), what)
        case _:
            msg = f"{what} must be {{ env = ... }}, {{ command = ... }} or a text"
            raise ConfigurationError(msg)


def _words(command: object, what: str) -> list[str]:
    """A command as its program and arguments; one text is parted as shells do."""
    words: Any = command
    with suppress(ValueError):  # a quotation without an end
        words = shlex.split(command) if isinstance(command, str) else command
    if _are_texts(words):
        return words
    msg = f"the command of {what} must be a list of texts, or one as shells read it"
    raise ConfigurationError(msg)


def _are_texts(value: object) -> TypeGuard[list[str]]:
    if not isinstance(value, list):
        return False
    listed = cast("list[object]", value)
    return bool(listed) and all(isinstance(each, str) for each in listed)


def _told(words: list[str], what: str) -> Secret:
    """What a command prints on its first line; it may ask on the terminal."""
    by = f"the command of {what}, {words[0]!r},"
    try:
        done = subprocess.run(  # noqa: S603 - the user's own command
            words, stdout=subprocess.PIPE, check=False, timeout=SECONDS_FOR_A_KEY
        )
    except subprocess.TimeoutExpired:
        msg = f"{by} did not end within {SECONDS_FOR_A_KEY} s"
        raise ConfigurationError(msg) from None  # it holds what was printed
    except (OSError, ValueError) as error:  # ValueError: a zero byte
        msg = f"{by} cannot be run: {getattr(error, 'strerror', error)}"
        raise ConfigurationError(msg) from None
    if done.returncode:
        msg = f"{by} ended with {done.returncode}"
        raise ConfigurationError(msg)
    first = Secret(done.stdout.partition(b"\n")[0].strip().decode(errors="replace"))
    if not first:
        msg = f"{by} printed no key"
        raise ConfigurationError(msg)
    return first
