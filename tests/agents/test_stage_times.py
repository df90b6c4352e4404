"""An engine tells where the processor's time went."""

from __future__ import annotations

import asyncio
from pathlib import Path

from agents.engine import Engine
from agents.metrics import Metrics
from streams.log_store import LogStore
from tests.rules.city_logs import city_lanes, city_plan


def test_each_stage_of_an_embedded_engine_counts(tmp_path: Path) -> None:
    store, metrics = LogStore(tmp_path), Metrics()
    engine = Engine(city_plan(), store, metrics)
    engine.open()
    assert set(seconds(metrics).values()) == {0.0}

    async def go() -> None:
        for chunk in city_lanes().values():
            await engine.take(chunk)
        await engine.checkpoint()

    asyncio.run(go())
    found = seconds(metrics)
    store.close()
    assert found.pop("fetch") == 0.0  # another process reads the files
    assert set(found) == {"intake", "assess", "send", "save"}
    assert min(found.values()) > 0.0


def seconds(metrics: Metrics) -> dict[str, float]:
    (family,) = (f for f in metrics.registry.collect() if f.name == "cityvitals_cpu_seconds")
    return {
        sample.labels["stage"]: sample.value
        for sample in family.samples
        if sample.name.endswith("_total")
    }
