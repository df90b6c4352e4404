"""The table of metrics."""

from __future__ import annotations

from schemas.metrics import METRICS


def test_the_table_is_whole() -> None:
    assert len(METRICS) == 65
    assert all(code == metric.code for code, metric in METRICS.items())


def test_each_metric_is_usable() -> None:
    for metric in METRICS.values():
        assert metric.zh
        assert metric.en
        assert 1 <= len(metric.unit) <= 16
        assert metric.minimum < metric.maximum
        assert metric.period_s >= 0
        # The exact sums hold int64 values at the metric's resolution.
        assert max(-metric.minimum, metric.maximum) / metric.resolution < 2**63


def test_factor_codes_are_used_once() -> None:
    codes = [metric.hj212 for metric in METRICS.values() if metric.hj212]
    assert len(codes) == len(set(codes)) == 19
