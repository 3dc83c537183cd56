"""The instruments: what is counted and measured of runs."""

from __future__ import annotations

from opentelemetry.metrics import Meter

from ..events import NodeFinished
from ..hooks import Retry, RunEnd
from ._attributes import ERROR, OPERATION, PROVIDER, Attributes, failure, model


# Those of the conventions, and twice as long six times more: workflows take their time.
_SECONDS = [0.01 * 2**n for n in range(20)]
_TOKENS = [float(4**n) for n in range(14)]  # those of the conventions

_OF_MODELS = (OPERATION, PROVIDER, "gen_ai.request.model")


class Metrics:
    """What is counted and measured.

    Args:
        meter: makes the instruments.
    """

    def __init__(self, meter: Meter) -> None:
        self._runs = meter.create_counter(
            "dify.client.runs", unit="{run}", description="Runs that ended."
        )
        self._failures = meter.create_counter(
            "dify.client.run.failures",
            unit="{run}",
            description="Runs that failed, were refused, or got lost.",
        )
        self._tokens = meter.create_counter(
            "dify.client.run.tokens",
            unit="{token}",
            description="Tokens that runs used, in all.",
        )
        self._streams = meter.create_up_down_counter(
            "dify.client.open_streams",
            unit="{stream}",
            description="Runs that are being followed.",
        )
        self._retries = meter.create_counter(
            "dify.client.retries",
            unit="{request}",
            description="Requests that were sent again.",
        )
        self._seconds = meter.create_histogram(
            "gen_ai.client.operation.duration",
            unit="s",
            description="GenAI operation duration.",
            explicit_bucket_boundaries_advisory=_SECONDS,
        )
        self._usage = meter.create_histogram(
            "gen_ai.client.token.usage",
            unit="{token}",
            description="Number of input and output tokens used.",
            explicit_bucket_boundaries_advisory=_TOKENS,
        )

    def opened(self, common: Attributes) -> None:
        """A stream is about to be opened."""
        self._streams.add(1, common)

    def closed(self, common: Attributes) -> None:
        """It is not followed any more."""
        self._streams.add(-1, common)

    def ended(self, end: RunEnd, common: Attributes) -> None:
        """A run ended."""
        attributes = {**common, "dify.run.status": end.status}
        why = failure(end)
        if why is not None:
            attributes[ERROR] = why
            self._failures.add(1, attributes)
        self._runs.add(1, attributes)
        self._seconds.record(end.seconds, attributes)
        if end.result is not None and end.result.total_tokens:
            self._tokens.add(end.result.total_tokens, common)

    def node(self, event: NodeFinished, common: Attributes) -> None:
        """A node ended; what its model used is counted."""
        told = model(event)
        if not told:
            return
        shared = {name: told[name] for name in _OF_MODELS if name in told}
        server = {name: common[name] for name in ("server.address", "server.port")}
        for kind in ("input", "output"):
            tokens = told.get(f"gen_ai.usage.{kind}_tokens")
            if isinstance(tokens, int):
                attributes = {**shared, **server, "gen_ai.token.type": kind}
                self._usage.record(tokens, attributes)

    def retried(self, retry: Retry) -> None:
        """A request is sent again."""
        method = retry.request.partition(" ")[0]
        error = type(retry.error).__name__
        self._retries.add(1, {"http.request.method": method, ERROR: error})
