"""The gateway's service over a feed that fails now and then: nothing is missing afterwards."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import orjson
import pytest

from agents.gateway import service as services
from agents.gateway.city import Choice, LiveCity
from agents.gateway.feed import Batch, FolderFeed
from agents.gateway.hub import Client
from agents.gateway.service import Service
from agents.outputs import ACCOUNTING, ALERT_LOG, ALERTS, VITALS
from streams.log_store import LogStore
from streams.records import Output
from tests.gateway.results import START, result


def moved(name: str) -> bytes:
    told = {"alert_id": name, "rule": "drain.depth", "key_level": "district", "key": "440111",
            "place": "440111", "state": "raised"}  # fmt: skip
    return orjson.dumps(told)


KEY = b"drain.depth|district|440111"


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "_AGAIN_S", 0.0)


def failing(read: Any, at: int) -> Any:
    """As ``read``, but for one call, which raises."""
    calls = iter(range(1 << 30))

    def sometimes(*arguments: Any) -> Any:
        if next(calls) == at:
            raise OSError("the disk is away")
        return read(*arguments)

    return sometimes


@pytest.mark.asyncio
async def test_what_came_when_the_clock_could_not_be_read_is_told() -> None:
    batches = [
        Batch(results=[(KEY, orjson.dumps(result(START)))], transitions=[(0, moved("a"))]),
        Batch(transitions=[(1, moved("b"))]),
    ]
    feed: Any = SimpleNamespace(poll=lambda: batches.pop(0), now=failing(lambda: START, 0))
    service = Service(feed, LiveCity({}))
    reader = Client(Choice(), frozenset({"signs", "alerts"}), 0, whole=False)
    service.hub.clients.add(reader)
    for trouble in ("the disk is away", None):
        await service._attempt(feed.poll)
        assert service.trouble == trouble
    told = b"".join([chunk async for chunk in service.hub._pending(reader)])
    assert told.count(b"event: signs") == 1
    assert [told.count(b'"alert_id":"%s"' % name) for name in (b"a", b"b")] == [1, 1]


@pytest.mark.parametrize("at", range(6))
def test_a_read_that_fails_amid_a_poll_takes_nothing_along(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    with closing(LogStore(tmp_path)) as store:
        for topic in (VITALS, ALERTS, ACCOUNTING, ALERT_LOG):
            store.create_topic(topic, 1, compacted=topic != ALERT_LOG)
        feed = FolderFeed(store, tmp_path)
        feed.begin()
        with store.transaction() as tx:
            tx.send(
                [
                    Output(topic, KEY, value, (("ce_id", b"x"),), 1, None)
                    for topic, value in ((VITALS, b"r"), (ALERT_LOG, b"t"), (ACCOUNTING, b"n"))
                ]
            )
        monkeypatch.setattr(store, "read", failing(store.read, at))
        with pytest.raises(OSError, match="away"):
            feed.poll()
        assert feed.poll() == Batch([(KEY, b"r")], [], [(0, b"t")], [b"n"])
        assert feed.poll() == Batch()


def test_records_of_somebody_else_are_refused_one_by_one() -> None:
    city = LiveCity({})
    city.take_alerts([b"[]", b"no JSON", b"{}", moved("a")])
    city.take_accounting([b"[]", b"1", b"{", b'{"topic":"t","partition":0}'])
    assert list(city.alerts) == ["a"]
    assert list(city.lanes) == ["t/0"]
    assert city.refused == 6


def test_the_newest_never_goes_back() -> None:
    """A worker that starts again sends what it may have sent."""
    city = LiveCity({})

    def told(*said: dict[str, Any]) -> list[tuple[int, int]]:
        records = [(KEY, orjson.dumps(one)) for one in said]
        return [(one.t_end, one.rev) for one in city.take_results(records)]

    first, last = result(START), result(START + 60_000)
    assert told(first, last) == [(last["t_end"], 0)]
    version = city.version
    assert told(first, result(START, 2.5, rev=1), last) == []
    assert city.version == version
    assert told(result(START + 60_000, 2.5, rev=1)) == [(last["t_end"], 1)]
    assert told(last) == []
    assert city.results[KEY].rev == 1
    assert city.refused == 0
