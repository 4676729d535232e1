"""What Prometheus reads: counts and latencies of HTTP, and the node's own samples, in the text format.

Owns a registry of its own, so two nodes in one process (the simulation) do not share figures. Label values are bounded:
a path that no route matches is `unmatched`, a method that HTTP does not define is `other`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest

from aimem.service import Sample

TEXT_TYPE: Final = CONTENT_TYPE_PLAIN_0_0_4
UNMATCHED: Final = "unmatched"
REQUESTS: Final = "ai_memory_http_requests_total"
SECONDS: Final = "ai_memory_http_request_seconds"
IN_FLIGHT: Final = "ai_memory_http_in_flight"
HTTP_METRICS: Final = (REQUESTS, SECONDS, IN_FLIGHT)

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"})
_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


def known_method(method: str) -> str:
    """What metrics and log call a method: whoever asks may write anything there."""
    return method if method in _METHODS else "other"


# Without this every counter has a twin `..._created`, which is no metric of ours and doubles the page.
disable_created_metrics()  # type: ignore[no-untyped-call]


class Metrics:
    """Counters of one HTTP surface."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            REQUESTS.removesuffix("_total"), "HTTP requests answered.", ("route", "method", "status"),
            registry=self._registry,
        )
        self._seconds = Histogram(
            SECONDS, "Seconds from the head of a request to the end of its answer.", ("route", "method"),
            buckets=_BUCKETS_S, registry=self._registry,
        )
        self._in_flight = Gauge(IN_FLIGHT, "HTTP requests being answered.", registry=self._registry)

    def begin(self) -> None:
        """A request came in."""
        self._in_flight.inc()

    def end(self, *, route: str, method: str, status: int, seconds: float) -> None:
        """It was answered, or its client left (status 0); `method` is of `known_method`."""
        self._in_flight.dec()
        self._requests.labels(route, method, str(status)).inc()
        self._seconds.labels(route, method).observe(seconds)

    def render(self, samples: Iterable[Sample]) -> bytes:
        """The page: HTTP first, then the node's samples."""
        return generate_latest(_Chained(self._registry, samples))


class _Chained:
    """A registry for one page: ours, and samples taken at this moment."""

    def __init__(self, registry: CollectorRegistry, samples: Iterable[Sample]) -> None:
        self._registry = registry
        self._samples = samples

    def collect(self) -> Iterator[Metric]:
        return chain(self._registry.collect(), families(self._samples))


def families(samples: Iterable[Sample]) -> tuple[Metric, ...]:
    """Samples grouped by name, in the order in which the names first come.

    All samples of one name must have the same label names in the same order.
    """
    found: dict[str, GaugeMetricFamily | CounterMetricFamily | HistogramMetricFamily] = {}
    for sample in samples:
        names, values = [name for name, _ in sample.labels], [value for _, value in sample.labels]
        family = found.get(sample.name)
        if family is None:
            family = found[sample.name] = _KINDS[sample.kind](sample.name, sample.help, labels=names)
        if isinstance(family, HistogramMetricFamily):
            family.add_metric(values, buckets=sample.buckets, sum_value=sample.value)
        else:
            family.add_metric(values, sample.value)
    return tuple(found.values())


_KINDS: Final = {"counter": CounterMetricFamily, "gauge": GaugeMetricFamily, "histogram": HistogramMetricFamily}
