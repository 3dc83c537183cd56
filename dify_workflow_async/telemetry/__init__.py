"""Runs as OpenTelemetry sees them: spans and metrics, made of events.

.. code-block:: python

    from dify_workflow_async.telemetry import OpenTelemetry

    client = WorkflowClient(observers=[OpenTelemetry()])

It needs the extra ``otel``, which is OpenTelemetry's API; where spans and metrics go is
said by the SDK that the program sets up.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import ConfigurationError
from ..hooks import Observer, Retry, RunObserver, RunStart


if TYPE_CHECKING:
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import TracerProvider

__all__ = ["OpenTelemetry"]


class OpenTelemetry(Observer):
    """Makes a span of each run, and below it one of each node, iteration and loop.

    The run's span is a child of the one that is current where the call is made, and
    is what Dify gets as ``traceparent``, unless the call names another.

    No span and no metric holds inputs, outputs, the key, or a sentence of the server.

    Args:
        tracer_provider: makes the tracer; else the global one.
        meter_provider: makes the meter; else the global one.
        workflow_name: what the program calls the workflow, on spans and metrics: a
            client's key selects an app, and no event tells its name.

    Raises:
        ConfigurationError: OpenTelemetry is not installed.
    """

    def __init__(
        self,
        *,
        tracer_provider: TracerProvider | None = None,
        meter_provider: MeterProvider | None = None,
        workflow_name: str | None = None,
    ) -> None:
        try:
            from opentelemetry import metrics, trace
        except ImportError:
            msg = "OpenTelemetry is missing: pip install 'dify-workflow-async[otel]'"
            raise ConfigurationError(msg) from None
        from importlib.metadata import version

        from ._metrics import Metrics

        name, number = "dify_workflow_async", version("dify-workflow-async")
        self._tracer = trace.get_tracer(name, number, tracer_provider)
        self._metrics = Metrics(metrics.get_meter(name, number, meter_provider))
        self._workflow_name = workflow_name

    def on_run(self, start: RunStart) -> RunObserver:
        """Begin the run's span."""
        from ._run import TracedRun

        return TracedRun(self._tracer, self._metrics, start, self._workflow_name)

    def on_retry(self, retry: Retry) -> None:
        """Count it."""
        self._metrics.retried(retry)
