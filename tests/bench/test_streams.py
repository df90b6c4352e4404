"""The measurement of stream clients, short: 50 of them, and results without an engine."""

from __future__ import annotations

import time
from contextlib import closing
from pathlib import Path

from agents.outputs import VITALS
from streams.log_store import LogStore
from tests.bench.stream_clients import DISTRICTS
from tests.bench.streams import CLIENT_KB, CLIENTS, Audience, misses
from tests.gateway.results import encoded, result
from tests.gateway.running import folder_of

_KEYS, _MINUTES, _FIRST = 100, 5, 2_000_000_000_000


def put_minute(store: LogStore, minute: int) -> None:
    """Results of a minute, as many for each district."""
    t = _FIRST + 60_000 * minute
    keys = [f"{district}{n:06}" for district in DISTRICTS for n in range(_KEYS)]
    values = [encoded(result(t, key=key, place=key[:9], key_level="street")) for key in keys]
    names = [f"drain.depth|street|{key}".encode() for key in keys]
    with store.transaction() as tx:
        tx.append(VITALS, 0, [t] * len(keys), names, values)


def test_every_client_has_every_result_of_its_district(tmp_path: Path) -> None:
    audience = Audience(folder_of(tmp_path / "data"), 50)
    try:
        with closing(LogStore(tmp_path / "data")) as store:
            for minute in range(_MINUTES):
                put_minute(store, minute)
                time.sleep(0.5)
        time.sleep(1)
        told = audience.figures()
    finally:
        audience.stop()
    # Every tenth client notes what it has.
    assert told["topic_to_client_ms"]["samples"] == 5 * _KEYS * _MINUTES
    assert (told["gaps"], told["ended"], told["cut"]) == (0, 0, 0)
    assert told["kb_a_client"] < CLIENT_KB


def test_each_limit_that_is_missed_is_named() -> None:
    streams = {
        "clients": CLIENTS, "updates_a_minute": 10_000, "topic_to_client_ms": {"p99": 750.0},
        "kb_a_client": 1_000, "ended": 0, "deaf": "cut after 50 s",
        "cut": 1,
    }  # fmt: skip
    runs = {
        "without": {"ms": {"event_to_sign": {"p99": 100.0}}},
        "with": {"ms": {"event_to_sign": {"p99": 120.0}}, "streams": streams},
    }
    assert misses(runs, CLIENTS) == []
    streams |= {
        "clients": 499, "updates_a_minute": 9_999, "topic_to_client_ms": {"p99": 750.1},
        "kb_a_client": 1_001, "ended": 1, "deaf": None,
        "cut": 0,
    }  # fmt: skip
    runs["with"] |= {"ms": {"event_to_sign": {"p99": 120.1}}}
    assert len(misses(runs, CLIENTS)) == 8
    runs["without"] = {}
    assert "the engine did not keep up" in misses(runs, CLIENTS)
