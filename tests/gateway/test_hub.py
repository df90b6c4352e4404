"""Streams: a change is written once for all, a slow client is told what it missed, and then cut."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest

from agents.gateway import hub as hubs
from agents.gateway.city import Choice, LiveCity, Moved
from agents.gateway.hub import Client, Hub

pytestmark = pytest.mark.asyncio


def result(key: str, value: float, t: int = 60_000) -> tuple[bytes, bytes]:
    told = {"vital": "air.pm25_1h", "key_level": "district", "key": key, "place": key,
            "t_end": t, "value": value, "live": False}  # fmt: skip
    return f"air.pm25_1h|district|{key}".encode(), orjson.dumps(told)


def alert(number: int, key: str = "440111") -> tuple[int, bytes]:
    told = {"alert_id": f"a{number}", "rule": "air.pm25_1h", "key_level": "district", "key": key,
            "place": key, "state": "raised"}  # fmt: skip
    return number, orjson.dumps(told)


async def no_log(number: int, most: int) -> list[Moved]:
    raise AssertionError("everything is in memory")


def made(city: LiveCity, read_log: Any = no_log) -> Hub:
    return Hub(city, read_log, lambda: b"{}", lambda: 7)


def client(what: str = "signs,alerts", under: str = "", cursor: int = 0) -> Client:
    return Client(Choice(under=under), frozenset(what.split(",")), cursor)


def told(chunk: bytes) -> list[tuple[str, Any]]:
    found = []
    for block in chunk.decode().split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if ": " in line)
        if "data" in fields:
            found.append((fields["event"], orjson.loads(fields["data"])))
    return found


async def take(stream: AsyncIterator[bytes]) -> list[tuple[str, Any]]:
    return told(await asyncio.wait_for(anext(stream), 5))


async def test_clients_of_one_choice_share_the_bytes_of_a_frame() -> None:
    hub = made(LiveCity({}))
    one, two, other = client("signs", "4401"), client("signs", "4401"), client("signs", "440111")
    streams = [hub.stream(each, False) for each in (one, two, other)]
    for stream in streams:
        await take(stream)  # hello
        assert await take(stream) == [("signs", [])]
    hub.tell(hub.city.take_results([result("440103", 1.0)]), [])
    assert one.frames[0][0] is two.frames[0][0]
    assert not other.frames


async def test_clients_of_one_choice_share_the_bytes_of_the_whole_state() -> None:
    city = LiveCity({})
    hub = made(city)
    city.take_results([result("440111", 1.0), result("440103", 2.0)])
    chunks = []
    for under in ("4401", "4401", "440111"):
        stream = hub.stream(client("signs", under), False)
        await take(stream)
        chunks.append(await asyncio.wait_for(anext(stream), 5))
    assert chunks[0] is chunks[1]
    assert [one["key"] for one in told(chunks[0])[0][1]] == ["440103", "440111"]
    assert [one["key"] for one in told(chunks[2])[0][1]] == ["440111"]
    # Accounting changes nothing of it; a result does.
    city.take_accounting([b'{"topic":"t","partition":0}'])
    assert hub.everything(Choice(under="4401")) is chunks[0]
    hub.tell(city.take_results([result("440104", 3.0)]), [])
    assert [one["key"] for one in told(hub.everything(Choice(under="4401")))[0][1]] == [
        "440103", "440104", "440111",
    ]  # fmt: skip


async def test_states_that_are_kept_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    hub = made(LiveCity({}))
    hub.city.take_results([result("440111", 1.0)])
    monkeypatch.setattr(hubs, "_SHARED_BYTES", 3 * len(hub.everything(Choice())))
    for n in range(10):
        assert hub.everything(Choice(signs=frozenset({"air.pm25_1h", f"{n}"})))
    assert len(hub._whole) == 3
    monkeypatch.setattr(hubs, "_SHARED_BYTES", 0)
    assert hub.everything(Choice(under="44"))
    assert not hub._whole


async def test_a_slow_client_is_told_what_it_missed_and_gets_the_newest() -> None:
    hub = made(LiveCity({}))
    slow = client("signs")
    stream = hub.stream(slow, False)
    await take(stream)
    await take(stream)
    for n in range(40):
        keys = (f"4401{m:02}" for m in range(10))
        hub.tell(hub.city.take_results([result(key, float(n)) for key in keys]), [])
        assert len(slow.frames) <= 9
    ((name, gap),) = await take(stream)
    assert name == "gap"
    ((name, signs),) = await take(stream)
    assert [one["value"] for one in signs] == [39.0] * 10
    # Eight that waited, the one that did not fit, and all after it.
    assert gap["signs"] == 400
    assert hub.lost == 40


async def test_who_has_not_had_the_first_of_everything_misses_nothing() -> None:
    hub, new = made(LiveCity({})), client("signs")
    stream = hub.stream(new, False)
    await take(stream)
    for n in range(40):
        hub.tell(hub.city.take_results([result("440103", float(n))]), [])
    ((name, signs),) = await take(stream)
    assert (name, [one["value"] for one in signs], hub.lost) == ("signs", [39.0], 0)


async def test_who_takes_nothing_is_cut_and_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hubs, "SLOW_S", 0.0)
    hub = made(LiveCity({}))
    slow = client("signs")
    stream = hub.stream(slow, False)
    await take(stream)
    for n in range(3):
        hub.tell(hub.city.take_results([result("440103", float(n))]), [])
        await asyncio.sleep(0.01)
    found = []
    async for chunk in stream:
        found += told(chunk)
    assert found[-1][0] == "bye"
    assert hub.cuts == 1
    assert not hub.clients


async def test_who_does_not_take_one_frame_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is being sent, and nothing else waits behind it."""
    monkeypatch.setattr(hubs, "SLOW_S", 0.0)
    hub = made(LiveCity({}))
    deaf = client("signs")
    stream = hub.stream(deaf, False)
    await take(stream)
    await take(stream)
    await asyncio.sleep(0.01)
    hub.tell([], [])
    assert (hub.cuts, deaf.cut) == (1, "took nothing for 0 s")


class Clock:
    """A monotonic clock that goes on when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """That of all hubs."""
    found = Clock()
    monkeypatch.setattr(hubs, "time", found)
    return found


async def test_each_chunk_that_is_taken_counts(clock: Clock) -> None:
    """Transitions of a long log come in many chunks: each of them is slow, none too slow."""
    city = LiveCity({})
    city.take_transitions([alert(n) for n in range(3000)])
    hub, slow = made(city), client("alerts")
    stream = hub.stream(slow, True)
    await take(stream)
    for _ in range(6):
        hub.tell([], [])
        clock.now += 0.6 * hubs.SLOW_S
        hub.tell([], [])
        assert await take(stream)
    assert hub.cuts == 0


async def test_who_takes_of_a_frame_is_not_cut(clock: Clock) -> None:
    hub, slow = made(LiveCity({})), client("signs")
    bytes_taken = iter(range(1000))
    slow.taken = lambda: next(bytes_taken)
    stream = hub.stream(slow, False)
    await take(stream)
    await take(stream)
    for _ in range(10):
        clock.now += 0.4 * hubs.SLOW_S
        hub.tell([], [])
    assert hub.cuts == 0
    slow.taken = lambda: -1
    for _ in range(10):
        clock.now += 0.4 * hubs.SLOW_S
        hub.tell([], [])
    assert hub.cuts == 1


async def test_transitions_come_in_order_once_whatever_is_in_memory() -> None:
    city = LiveCity({})
    records = [alert(n) for n in range(0, 3000, 3)]  # a log may have gaps
    city.take_transitions(records)
    kept = list(city.moved)
    for _ in range(500):
        city.moved.popleft()

    async def log(number: int, most: int) -> tuple[int, list[Moved]]:
        return 0, [moved for moved in kept if moved.number >= number][:most]

    reader = client("alerts", cursor=31)
    stream = made(city, log).stream(reader, True)
    await take(stream)
    found: list[str] = []
    while reader.cursor < city.next_number:
        found += [data["alert_id"] for name, data in await take(stream) if name == "alert"]
    assert found == [f"a{n}" for n in range(33, 3000, 3)]


async def test_what_the_log_no_longer_has_is_told_as_a_gap() -> None:
    city = LiveCity({})
    city.take_transitions([alert(n) for n in range(100, 110)])
    reader = client("alerts", cursor=10)

    async def log(number: int, most: int) -> tuple[int, list[Moved]]:
        return 100, [moved for moved in city.moved if moved.number >= number][:most]

    stream = made(city, log).stream(reader, True)
    await take(stream)
    assert await take(stream) == [("gap", {"signs": 0, "alerts": 90})]
    assert len(await take(stream)) == 10


async def test_a_client_hears_of_its_places_alone() -> None:
    city = LiveCity({"air.pm25_1h": "air"})
    hub = made(city)
    reader = client("signs,alerts", "440111")
    stream = hub.stream(reader, False)
    await take(stream)
    await take(stream)
    moved = city.take_transitions([alert(0, "440103"), alert(1, "440111")])
    hub.tell(city.take_results([result("440103", 1.0), result("440111", 2.0)]), moved)
    found = await take(stream) + await take(stream)
    assert {name for name, _ in found} == {"alert", "signs"}
    said = dict(found)
    assert said["alert"]["key"] == said["signs"][0]["key"] == "440111"
    assert len(said["signs"]) == 1
