"""Counts what the server does, as Prometheus text."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping

_BOUNDS_SECONDS = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)


class Metrics:
    """Requests by route and status, and how long they took."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requests: Counter[tuple[str, int]] = Counter()
        self._buckets: Counter[tuple[str, float]] = Counter()
        self._seconds: Counter[str] = Counter()

    def add(self, route: str, status: int, seconds: float) -> None:
        """Counts one request."""
        with self._lock:
            self._requests[route, status] += 1
            self._seconds[route] += seconds  # type: ignore[assignment]
            for bound in _BOUNDS_SECONDS:
                self._buckets[route, bound] += seconds <= bound

    def to_text(self, gauges: Mapping[str, float]) -> str:
        """The text of Prometheus.

        Args:
            gauges: name -> value of what is known at this moment.
        """
        with self._lock:
            lines = ["# TYPE reage_requests_total counter"]
            lines += [
                f'reage_requests_total{{route="{route}",status="{status}"}} {count}'
                for (route, status), count in sorted(self._requests.items())
            ]
            lines.append("# TYPE reage_request_seconds histogram")
            for route in sorted(self._seconds):
                total = sum(count for (own, _), count in self._requests.items() if own == route)
                lines += [
                    f'reage_request_seconds_bucket{{route="{route}",le="{bound:g}"}} {self._buckets[route, bound]}'
                    for bound in _BOUNDS_SECONDS
                ]
                lines += [
                    f'reage_request_seconds_bucket{{route="{route}",le="+Inf"}} {total}',
                    f'reage_request_seconds_sum{{route="{route}"}} {self._seconds[route]:.6g}',
                    f'reage_request_seconds_count{{route="{route}"}} {total}',
                ]
        for name, value in gauges.items():
            lines += [f"# TYPE {name} gauge", f"{name} {value:g}"]
        return "\n".join(lines) + "\n"
