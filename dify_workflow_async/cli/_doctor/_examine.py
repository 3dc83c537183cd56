"""The checks, one after another, as far as each allows the next one."""

from __future__ import annotations

import warnings

from collections.abc import Callable, Mapping
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

import attrs

from ... import RetryPolicy, WorkflowClient
from ...errors import (
    ConfigurationError,
    DifyError,
    InsecureConnectionWarning,
    InvalidInputs,
)
from ...models import AppInfo, Parameters
from .._connection import Connection
from .._text import printable
from ._address import judge_address
from ._answers import judge_refusal
from ._finding import Finding, Mark, unknown, wrong
from ._network import connect, resolve, shake_hands
from ._pace import judge_run
from ._server import (
    judge_answer,
    judge_clock,
    judge_form,
    judge_key,
    judge_version,
    now,
    required,
)
from ._session import Ear
from ._stream import watch
from ._tls import judge_connection, judge_name, judge_tls


ONCE = RetryPolicy(attempts=1)
"""What fails now and then is to be seen."""


@attrs.frozen(kw_only=True)
class Trial:
    """The run that is to be tried.

    Attributes:
        inputs: makes them, by the app's form.
        timeout: seconds that it may take.
    """

    inputs: Callable[[Parameters], Mapping[str, Any]]
    timeout: float


@attrs.define
class Notes:
    """What was found.

    Attributes:
        tell: called for each finding.
    """

    tell: Callable[[Finding], None]
    findings: list[Finding] = attrs.field(factory=list[Finding])

    def take(self, *findings: Finding) -> bool:
        """Note them; False if one is wrong, so that it is no use to look further."""
        for finding in findings:
            self.findings.append(finding)
            self.tell(finding)
        return not any(each.mark is Mark.WRONG for each in findings)


async def examine(connection: Connection, trial: Trial | None, notes: Notes) -> None:
    """Look at all there is.

    Args:
        connection: which app on which server.
        trial: None: nothing is run.
        notes: get what is found, as it is found.
    """
    ear = Ear()
    async with ear.session() as session:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", InsecureConnectionWarning)
            try:
                client = connection.client(session=session, retry=ONCE)
            except ConfigurationError as error:
                told = printable(error.message)
                remedy = "correct the options, the environment or the config file"
                notes.take(wrong("settings", told, remedy))
                return
        async with client:
            address = judge_address(client.base_url, in_clear=bool(caught))
            if notes.take(address) and await _way(client.base_url, notes):
                await _app(client, ear, trial, notes)


async def _way(base_url: str, notes: Notes) -> bool:
    """From this machine to the port of the server; True if it leads there."""
    parts = urlsplit(base_url)
    host = parts.hostname or ""
    port = parts.port or (443 if parts.scheme == "https" else 80)
    if not _is_address(host):
        name = judge_name(host, await resolve(host, port))
        if not notes.take(name):
            return False
    if not notes.take(judge_connection(host, port, await connect(host, port))):
        return False
    if parts.scheme != "https":
        return True
    return notes.take(judge_tls(host, await shake_hands(host, port), now=now()))


def _is_address(host: str) -> bool:
    try:
        ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True


async def _app(
    client: WorkflowClient, ear: Ear, trial: Trial | None, notes: Notes
) -> None:
    """What answers there, and what the key is for."""
    info: AppInfo | None = None
    parameters: Parameters | None = None
    failure: DifyError | None = None
    try:
        info = await client.info()
        parameters = await client.parameters()
    except DifyError as error:
        failure = error
    is_dify = info is not None or (failure is not None and failure.code is not None)
    if is_dify and ear.heard:
        heard = ear.heard[0]
        notes.take(judge_answer(heard), judge_version(heard), judge_clock(heard))
    if info is not None and not notes.take(judge_key(info)):
        return
    if failure is not None:
        notes.take(judge_refusal(failure, client.base_url))
    if parameters is not None:
        notes.take(judge_form(parameters))
        await _run(client, parameters, ear, trial, notes)


async def _run(
    client: WorkflowClient,
    parameters: Parameters,
    ear: Ear,
    trial: Trial | None,
    notes: Notes,
) -> None:
    """The pace of a run's events, if one may be run."""
    if trial is None:
        needs = [f"--input {printable(x)}=..." for x in required(parameters)]
        remedy = (
            f"run the workflow once with {' '.join(['--run', *needs])}; it may cost"
        )
        notes.take(
            unknown("stream", "was not looked at, since nothing was run", remedy)
        )
        return
    try:
        inputs = trial.inputs(parameters)
        await client.validate(inputs)
    except InvalidInputs as error:
        told = f"nothing was run: {printable(error.message)}"
        notes.take(wrong("stream", told, "give each input with --input NAME=VALUE"))
        return
    asked = len(ear.heard)
    watched = await watch(client, inputs, timeout=trial.timeout)
    # The last thing asked before the run's end, if files were uploaded before it.
    runs = [each for each in ear.heard[asked:] if each.path.endswith("/workflows/run")]
    headers: Mapping[str, str] = runs[0].headers if runs else {}
    notes.take(*judge_run(watched, base_url=client.base_url, headers=headers))
