"""What events and answers look like: shapes to hold against recordings."""

import asyncio
import json

from collections.abc import Callable
from pathlib import Path
from typing import Any

from dify_workflow_async.local import App, LocalServer


VERSIONS = ["1.12.1", "1.14.2"]

# What users and their nodes put there; everything else is the server's own.
USER_DATA = {
    "data.inputs",
    "data.outputs",
    "data.process_data",
    "data.files",
    "data.actions",
    "data.reasons.inputs",
    "data.reasons.actions",
    "data.resolved_default_values",
    "data.reasons.resolved_default_values",
    "data.submitted_data",
    "data.execution_metadata.iteration_duration_map",
    "data.execution_metadata.loop_duration_map",
    "data.execution_metadata.loop_variable_map",
}
# Snapshots of a run that is under way are reduced, and only a joined stream has them
# (test_fidelity_of_pauses.py).
SNAPSHOTS = {"events_finished", "events_paused_snapshot", "events_running_snapshot"}


class Shape:
    """The keys and types that one kind of event was seen with."""

    def __init__(self) -> None:
        self.types: dict[str, set[str]] = {}
        self.keys: dict[str, list[tuple[str, ...]]] = {}

    def see(self, value: Any, path: str = "") -> None:
        """Learn from a value."""
        self.types.setdefault(path, set()).add(type(value).__name__)
        if path in USER_DATA:
            return
        if isinstance(value, dict):
            self.keys.setdefault(path, []).append(tuple(value))
            for key, item in value.items():
                self.see(item, f"{path}.{key}" if path else key)
        elif isinstance(value, list):
            for item in value:
                self.see(item, path)

    def faults(self, other: "Shape") -> list[str]:
        """Tell where another shape has what this one never had."""
        found = [
            f"{path}: {kinds - self.types.get(path, set())} is new"
            for path, kinds in other.types.items()
            if not kinds <= self.types.get(path, set())
        ]
        for path, sent in other.keys.items():
            always = set.intersection(*map(set, self.keys.get(path, [()])))
            found += [
                f"{path}: {always - set(keys)} is missing"
                for keys in sent
                if not always <= set(keys)
            ]
            # In the metadata the servers themselves have no fixed order.
            if not path.endswith("execution_metadata"):
                known = set(self.keys.get(path, []))
                found += [f"{path}: order {keys}" for keys in sent if keys not in known]
        return found


def shapes(events: list[Any]) -> dict[str, Shape]:
    """Learn the shape of each kind of event."""
    learnt: dict[str, Shape] = {}
    for event in events:
        if isinstance(event, dict):
            learnt.setdefault(event["event"], Shape()).see(event)
    return learnt


class Recorded:
    """The recordings, read without the package's own reader."""

    def __init__(self, folder: Path, parse: Callable[[bytes], list[Any]]) -> None:
        self._folder = folder
        self.parse = parse
        self._events = {version: self._read(version) for version in VERSIONS}

    def path(self, version: str, name: str) -> Path:
        """Tell where a recording is; of the old version if the new has none."""
        path = self._folder / f"dify-{version}" / f"{name}.http"
        return path if path.exists() else self._folder / "dify-1.12.1" / path.name

    def json(self, version: str, name: str) -> Any:
        """Read the JSON of an answer."""
        raw = self.path(version, name).read_bytes()
        return json.loads(raw.partition(b"\r\n\r\n")[2])

    def stream(self, path: Path) -> list[Any]:
        """Read the frames of a stream."""
        _, _, rest = path.read_bytes().partition(b"\r\n\r\n")
        body = b""
        while rest:
            size, _, rest = rest.partition(b"\r\n")
            body += rest[: int(size, 16)]
            rest = rest[int(size, 16) + 2 :]
        return self.parse(body)

    def _read(self, version: str) -> list[Any]:
        """Read all live events that a version was seen to send."""
        return [
            event
            for path in sorted((self._folder / f"dify-{version}").glob("*.http"))
            if b"text/event-stream" in path.read_bytes()[:500]
            if path.stem not in SNAPSHOTS
            for event in self.stream(path)
        ]

    def hold_against(self, version: str, sent: list[Any]) -> None:
        """Assert that events look like those of a version.

        A kind of event that was not recorded of it is held against the other's.
        """
        known = shapes([event for seen in self._events.values() for event in seen])
        known |= shapes(self._events[version])
        for name, shape in shapes(sent).items():
            assert name in known
            assert not known[name].faults(shape), name


def outline(events: list[Any]) -> list[tuple[Any, ...]]:
    """Tell the order of events: name, node, status and index, without texts."""
    return [
        (
            event["event"],
            event["data"].get("node_id"),
            event["data"].get("status"),
            event["data"].get("index"),
            event["data"].get("iteration_id"),
            event["data"].get("loop_id"),
            event["data"].get("total_steps"),
            event["data"].get("exceptions_count"),
        )
        for event in events
        if isinstance(event, dict) and event["event"] != "text_chunk"
    ]


async def exchange(
    server: LocalServer, path: Path, app: App, key: str | None = None
) -> bytes:
    """Send the bytes of a recorded request, and read the answer to its end."""
    request = path.with_suffix(".req").read_bytes()
    request = request.replace(b"app-EXAMPLE", (key or app.key).encode())
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(request)
    raw = await reader.readuntil(b"\r\n\r\n")
    if b"Transfer-Encoding: chunked" in raw:
        raw += await reader.readuntil(b"\r\n0\r\n\r\n")
    else:
        raw += await reader.readexactly(
            int(raw.split(b"Content-Length: ")[1].split()[0])
        )
    writer.close()
    await writer.wait_closed()
    return raw


def head_of(raw: bytes) -> set[bytes]:
    """Take the lines of the head of an answer, without the date."""
    lines = raw.partition(b"\r\n\r\n")[0].split(b"\r\n")
    return {line for line in lines if not line.startswith(b"Date:")}
