"""Profiles: servers and keys by name, and which of all sources goes first."""

from __future__ import annotations

import json
import pickle
import sys
import time

import pytest

from click.testing import CliRunner

from dify_workflow_async.cli import _profiles
from dify_workflow_async.cli._app import cli
from dify_workflow_async.cli._connection import Connection
from dify_workflow_async.cli._profiles import config_path, read_profiles
from dify_workflow_async.errors import ConfigurationError
from dify_workflow_async.local import App, LocalServer, Node, Scenario

from ._batches import run


PLAIN = "app-plain-secret"
WORK = """
profile = "work"

[profiles.work]
base_url = "https://work.example/v1"
user = "ada"
app = "sums"

[profiles.work.keys]
sums = { env = "SUMS_KEY" }
told = { command = ["PYTHON", "-c", "print('app-told'); print('more')"] }

[profiles.one]
base_url = "https://one.example/v1"

[profiles.one.keys]
only = { env = "ONE_KEY" }

[profiles.cloud.keys]
a = { env = "SUMS_KEY" }
b = { env = "ONE_KEY" }
""".replace("PYTHON", sys.executable)
ENVIRONMENT = (
    *("DIFY_API_KEY", "DIFY_BASE_URL", "DIFY_USER"),
    *("DIFY_PROFILE", "DIFY_WORKFLOW_CONFIG"),
)


@pytest.fixture
def config(tmp_path, monkeypatch):
    """A function that writes the config file, in an environment that says nothing."""
    path = tmp_path / "config.toml"
    for name in ENVIRONMENT:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DIFY_WORKFLOW_CONFIG", str(path))

    def write(text, mode=0o600):
        path.write_text(text)
        path.chmod(mode)
        return path

    return write


@pytest.fixture
def work(config, monkeypatch):
    """The config file of above, and the keys that it names."""
    monkeypatch.setenv("SUMS_KEY", "app-sums")
    monkeypatch.setenv("ONE_KEY", "app-one")
    return config(WORK)


def client_of(**options):
    """The server, end user and key that a connection makes a client of."""
    client = Connection(**options).client()
    return client.base_url, client._user, client._api.api_key.reveal()


# -- the file ------------------------------------------------------------------------


def test_where_the_file_is(monkeypatch, tmp_path):
    """The variable names it; else it is where the system has settings."""
    monkeypatch.setenv("DIFY_WORKFLOW_CONFIG", "")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert config_path().parts[-2:] == ("dify-workflow", "config.toml")
    monkeypatch.setenv("DIFY_WORKFLOW_CONFIG", "/a/b.toml")
    assert str(config_path()) == "/a/b.toml"


def test_no_file(config):
    """Without a file there are no profiles, and that is no error."""
    profiles = read_profiles()

    assert (len(profiles), profiles.default) == (0, None)
    with pytest.raises(ConfigurationError, match=r"no profile 'x' .*; there is: none"):
        profiles["x"]


def test_a_folder_instead_of_a_file(tmp_path):
    """What cannot be read is told in a sentence."""
    with pytest.raises(ConfigurationError, match="cannot be read: Is a directory"):
        read_profiles(tmp_path)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[", "is not TOML: "),
        ("profiles = 1", "'profiles' of .* must be a table"),
        ("[profiles]\na = 1", "'a' of profile 'a' in .* must be a table"),
        ("[profile.work]", "'profile' of .* must be a text"),
        ("[profil.work]", "has unknown settings: profil"),
        ("[profiles.a]\nurl = 'x'\nkey = 'y'", "'a' in .* unknown settings: key, url"),
        ("[profiles.a]\nuser = 1", "'user' of profile 'a' in .* must be a text"),
        ("[profiles.a]\nkeys = 'k'", "'keys' of profile 'a' in .* must be a table"),
        (
            "[profiles.a]\nbase_url = 'https://ada:pw@dify/v1'",
            "'base_url' of profile 'a' in .* must have no user and no password$",
        ),
        (
            "[profiles.a]\nbase_url = 'ada:pw@dify'",
            "must have no user and no password$",
        ),
        ("profile = 'b'\n[profiles.a]", "no profile 'b' in .*; there is: a"),
    ],
)
def test_a_faulty_file(config, text, says):
    """The sentence tells what is wrong with it, and where."""
    config(text)
    with pytest.raises(ConfigurationError, match=says):
        read_profiles()


def test_a_file_that_is_no_text(config):
    """Bytes that are no UTF-8 are no TOML."""
    config("").write_bytes(b"a = '\xff'")
    with pytest.raises(ConfigurationError, match="is not TOML: "):
        read_profiles()


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_key_that_others_can_read(config, mode):
    """A file that holds a key is refused if it is not its owner's alone."""
    path = config(f"[profiles.a.keys]\nk = '{PLAIN}'", mode)
    with pytest.raises(ConfigurationError) as caught:
        read_profiles()
    assert str(caught.value).endswith(f"can be read by others: chmod 600 {path}")
    assert PLAIN not in str(caught.value)


def test_a_file_without_keys_may_be_read_by_all(config):
    """Names of variables are no secret."""
    config("[profiles.a.keys]\nk = { env = 'K' }", 0o644)
    assert list(read_profiles()) == ["a"]


# -- keys ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("{ env = 'NOT_SET' }", "is in NOT_SET of the environment, which is not set"),
        ("{ env = 1 }", r"must be \{ env = ... \}, \{ command = ... \} or a text"),
        ("{ env = 'A', command = 'b' }", "must be"),
        ("{}", "must be"),
        ("''", "key 'k' of profile 'a' is empty"),
        ("{ command = [] }", "must be a list of texts"),
        ("{ command = ['a', 1] }", "must be a list of texts"),
        ("{ command = 1 }", "must be a list of texts"),
        ('{ command = "a \'b" }', "must be a list of texts"),
        ("{ command = 'nowhere-to-be-found' }", "cannot be run: No such file"),
        ('{ command = "a\\u0000b" }', "cannot be run: embedded null byte"),
        ("{ command = 'false' }", "'false', ended with 1"),
        ("{ command = 'true' }", "'true', printed no key"),
        ("{ command = ['echo', ' '] }", "'echo', printed no key"),
    ],
)
def test_a_key_that_cannot_be_had(config, source, says):
    """The sentence names the key and its profile."""
    config(f"[profiles.a.keys]\nk = {source}")
    with pytest.raises(ConfigurationError, match=says) as caught:
        Connection(profile="a").client()
    assert "key 'k' of profile 'a'" in str(caught.value)


def test_a_command_without_an_end(config, monkeypatch):
    """It is ended, and told of, without what it had printed."""
    monkeypatch.setattr(_profiles, "SECONDS_FOR_A_KEY", 0.5)
    script = f"print({PLAIN!r}, flush=True); import time; time.sleep(600)"
    config(
        f"[profiles.a.keys]\nk = {{ command = {json.dumps([sys.executable, '-c', script])} }}"
    )
    began = time.monotonic()
    with pytest.raises(
        ConfigurationError, match=r"did not end within 0\.5 s"
    ) as caught:
        Connection(profile="a").client()
    assert time.monotonic() - began < 30
    assert PLAIN not in str(caught.value).replace(script, "")
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    ("source", "key"),
    [
        (f"'{PLAIN}'", PLAIN),
        ("{ env = 'SUMS_KEY' }", "app-sums"),
        ("{ command = ['printf', 'app-1\\r\\napp-2'] }", "app-1"),
        ("{ command = \"echo ' app-3 '\" }", "app-3"),
    ],
)
def test_where_a_key_comes_from(config, monkeypatch, source, key):
    """From the file, the environment, or the first line that a command prints."""
    monkeypatch.setenv("SUMS_KEY", "app-sums")
    config(f"[profiles.a.keys]\nk = {source}")
    assert client_of(profile="a")[2] == key


def test_a_key_is_not_shown(config):
    """Not by what is read of the file, either."""
    config(f"[profiles.a.keys]\nk = '{PLAIN}'")
    assert PLAIN not in repr(read_profiles())
    assert PLAIN not in repr(Connection(profile="a").client())


# -- which source goes first ---------------------------------------------------------


WORK_URL, ONE_URL = "https://work.example/v1", "https://one.example/v1"
CLOUD_URL = "https://api.dify.ai/v1"


@pytest.mark.parametrize(
    ("options", "environment", "client"),
    [
        ({}, {}, (WORK_URL, "ada", "app-sums")),
        ({"app": "told"}, {}, (WORK_URL, "ada", "app-told")),
        ({"user": "bob"}, {}, (WORK_URL, "bob", "app-sums")),
        ({}, {"DIFY_USER": "eve"}, (WORK_URL, "ada", "app-sums")),
        ({"profile": "one"}, {}, (ONE_URL, "dify-workflow", "app-one")),
        ({"profile": "one"}, {"DIFY_USER": "eve"}, (ONE_URL, "eve", "app-one")),
        ({}, {"DIFY_PROFILE": "one"}, (ONE_URL, "dify-workflow", "app-one")),
        (
            {"profile": "work"},
            {"DIFY_PROFILE": "one", "DIFY_API_KEY": "app-env"},
            (WORK_URL, "ada", "app-sums"),
        ),
        ({}, {"DIFY_API_KEY": "app-env"}, (CLOUD_URL, "dify-workflow", "app-env")),
        (
            {},
            {
                "DIFY_API_KEY": "app-env",
                "DIFY_BASE_URL": "https://env.example",
                "DIFY_USER": "eve",
            },
            ("https://env.example/v1", "eve", "app-env"),
        ),
        (
            {"base_url": "https://option.example"},
            {"DIFY_API_KEY": "app-env", "DIFY_BASE_URL": "https://env.example"},
            ("https://option.example/v1", "dify-workflow", "app-env"),
        ),
        # The key of a profile goes to no other server than its own.
        (
            {"profile": "cloud", "app": "b"},
            {"DIFY_API_KEY": "app-env", "DIFY_BASE_URL": "https://env.example"},
            (CLOUD_URL, "dify-workflow", "app-one"),
        ),
    ],
    ids=str,
)
def test_which_goes_first(work, monkeypatch, options, environment, client):
    """An option, the profile that is named, the environment, the file's default."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert client_of(**options) == client


@pytest.mark.parametrize(
    ("options", "environment", "says"),
    [
        ({"profile": "x"}, {}, "no profile 'x' in .*; there is: work, one, cloud"),
        ({"profile": "cloud"}, {}, "which app of profile 'cloud'.* one of: a, b"),
        ({"app": "x"}, {}, "profile 'work' has no key 'x'; it has: sums, told"),
        ({"profile": "one", "base_url": "https://x"}, {}, "exclude each other"),
        ({"base_url": "https://x"}, {"DIFY_PROFILE": "one"}, "exclude each other"),
        ({"base_url": "https://x"}, {}, "no API key"),
        ({"app": "x"}, {"DIFY_API_KEY": "k"}, "--app names a key of a profile"),
        ({"app": "x", "base_url": "https://x"}, {}, "--app names a key of a profile"),
    ],
    ids=str,
)
def test_what_contradicts_itself(work, monkeypatch, options, environment, says):
    """It is refused before anything is sent."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError, match=says):
        Connection(**options).client()


def test_neither_profile_nor_environment(config):
    """What is missing is told, with where it may come from."""
    with pytest.raises(ConfigurationError, match="no API key") as caught:
        Connection().client()
    assert str(config_path()) in str(caught.value)


def test_a_profile_without_keys(config):
    """There is none to choose."""
    config("[profiles.a]")
    with pytest.raises(ConfigurationError, match="one of: none"):
        Connection(profile="a").client()


def test_a_connection_goes_to_other_processes(work):
    """It pickles, and takes no key with it."""
    made = pickle.dumps(Connection(profile="one", user="bob").client.__self__)
    assert b"app-one" not in made
    assert client_of(profile="one") == (ONE_URL, "dify-workflow", "app-one")
    client = pickle.loads(pickle.dumps(Connection(profile="one", user="bob").client))()
    assert client._user == "bob"


# -- the commands --------------------------------------------------------------------


async def test_a_run_by_profile(tmp_path):
    """A command runs an app of a profile, and no output has a key of it.

    The file's key is a plain text, and neither a success nor an error shows it.
    """
    app = App(Scenario(steps=[Node(type="end", outputs={"a": 1})]), key=PLAIN)
    async with LocalServer([app]) as server:
        path = tmp_path / "config.toml"
        path.write_text(
            f"profile = 'here'\n[profiles.here]\nbase_url = '{server.base_url}'\n"
            f"[profiles.here.keys]\ngood = '{PLAIN}'\nbad = '{PLAIN}-wrong'\n"
        )
        path.chmod(0o600)
        env = {
            "DIFY_WORKFLOW_CONFIG": str(path),
            "DIFY_API_KEY": "",
            "DIFY_BASE_URL": "",
        }
        outputs = []
        for words, status in [
            (["run", "--app", "good"], 0),
            (["run", "--profile", "here", "--app", "good", "--json"], 0),
            (["run", "--app", "bad"], 1),
            (["run"], 2),
            (["profiles"], 0),
            (["profiles", "--json"], 0),
        ]:
            code, told, errors = await run(server, *words, cwd=tmp_path, **env)
            assert (code, words) == (status, words), errors
            outputs += [told, errors]

    assert json.loads(outputs[0]) == {"a": 1}
    assert "401" in outputs[5]
    assert "which app of profile 'here'? --app is one of: good, bad" in outputs[7]
    assert PLAIN not in "".join(outputs)


def test_profiles(work):
    """The list has names, servers, users and apps."""
    result = CliRunner().invoke(cli, ["profiles"])

    assert result.exit_code == 0
    assert result.output.splitlines() == [
        "profile         server                   user  apps",
        "work (default)  https://work.example/v1  ada   sums, told",
        "one             https://one.example/v1         only",
        "cloud           Dify Cloud                     a, b",
    ]
    listed = json.loads(CliRunner().invoke(cli, ["profiles", "--json"]).output)
    assert listed["path"] == str(work)
    assert listed["profiles"][0] == {
        "name": "work",
        "is_default": True,
        "base_url": "https://work.example/v1",
        "user": "ada",
        "app": "sums",
        "apps": ["sums", "told"],
    }


def test_no_profiles(config):
    """Where there are none, it is told where they would be."""
    result = CliRunner().invoke(cli, ["profiles"])

    assert result.exit_code == 0
    assert result.output == f"there are no profiles in {config_path()}\n"


def test_profiles_of_a_faulty_file(config):
    """The fault is told in a sentence."""
    config("[")
    result = CliRunner().invoke(cli, ["profiles"])

    assert result.exit_code == 2
    assert result.output.startswith("Error: ")
