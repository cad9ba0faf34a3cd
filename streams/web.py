"""A worker's web pages: /health, /ready and /metrics."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from streams.faust_app import App
from streams.metrics import Metrics

_PROMETHEUS = "text/plain; version=0.0.4"


def add_pages(app: App, metrics: Metrics, trouble: Callable[[App], str | None]) -> None:
    """`trouble` says why the worker is not ready.

    /health answers as long as the process lives; /ready is 503 until it has its part of the topics, and when it is
    about to end; /metrics is for Prometheus.
    """

    @app.page("/health")
    async def health(view: Any, _request: Any) -> Any:
        return view.json({"status": "alive"})

    @app.page("/ready")
    async def ready(view: Any, _request: Any) -> Any:
        why = trouble(app)
        return view.json(
            {"status": "ready" if why is None else "waiting", "why": why}, status=200 if why is None else 503
        )

    @app.page("/metrics")
    async def prometheus(view: Any, _request: Any) -> Any:
        return view.text(metrics.text().decode(), content_type=_PROMETHEUS)
