"""What a gateway does at its limits: clients that take nothing, too many of them, a full disk."""

from __future__ import annotations

import asyncio
import contextlib
import select
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from sse_starlette.sse import EventSourceResponse

from agents.gateway import hub as hubs
from agents.gateway import server as servers
from agents.gateway.city import Choice, LiveCity
from agents.gateway.hub import Client, Hub
from agents.gateway.server import Server, listen
from agents.gateway.web import Guard
from streams.log_store import LogStore
from tests.gateway.running import Running, copied, folder_of, gateway, with_more_alerts

SENSOR = "city.sensor.v1"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return with_more_alerts(folder_of(tmp_path_factory.mktemp("limits") / "data"))


# --- clients -----------------------------------------------------------------------------------


async def endless(scope: Any, receive: Any, send: Any) -> None:
    """Sends for ever, or until nobody is there."""
    await receive()
    gone = asyncio.ensure_future(receive())
    await send({"type": "http.response.start", "status": 200, "headers": []})
    while not gone.done():
        await send({"type": "http.response.body", "body": bytes(1 << 16), "more_body": True})
        await asyncio.sleep(0)


async def whole(scope: Any, receive: Any, send: Any) -> None:
    """Sends all at once, as answers are."""
    length = (b"content-length", str(_WHOLE).encode())
    await send({"type": "http.response.start", "status": 200, "headers": [length]})
    await send({"type": "http.response.body", "body": bytes(_WHOLE)})


_WHOLE = 3 << 20


@contextlib.contextmanager
def serving(
    answer: Any, tick: Any = None, tls: tuple[str, str] | None = None
) -> Iterator[tuple[str, int]]:
    """The address of a server in this process; ``tick`` is called ten times a second there."""
    listening = listen("127.0.0.1", 0)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            await answer(scope, receive, send)
        else:
            for part in ("startup", "shutdown"):
                await receive()
                await send({"type": f"lifespan.{part}.complete"})

    server = Server(app, tls=tls, connections=10)

    async def run() -> None:
        task = asyncio.create_task(server.run_on(listening))
        while not task.done():
            if tick is not None:
                tick()
            await asyncio.wait([task], timeout=0.1)

    thread = threading.Thread(target=asyncio.run, args=(run(),))
    thread.start()
    try:
        yield listening.getsockname()
    finally:
        server.should_exit = True
        thread.join()
        listening.close()


@pytest.fixture
def address(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, int]]:
    """Of a server on which a client must take something within a second."""
    monkeypatch.setattr(servers, "TAKEN_S", 1.0)
    with serving(endless) as found:
        yield found


def asked(address: tuple[str, int], tls: ssl.SSLContext | None = None) -> socket.socket:
    """A connection with little room on its side, and an answer to come."""
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
    made.settimeout(30)
    made.connect(address)
    if tls is not None:
        made = tls.wrap_socket(made)
    made.sendall(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n")
    return made


def is_reset(deaf: socket.socket) -> bool:
    """Whether it is told although it reads nothing."""
    poll = select.poll()
    poll.register(deaf.fileno(), select.POLLERR | select.POLLHUP)
    return bool(poll.poll(30_000))


def read_slowly(slow: socket.socket, seconds: float) -> bytes:
    """All that comes until the end, or for so long; 100 kB at a time, ten times a second."""
    found, ends = bytearray(), time.monotonic() + seconds
    while time.monotonic() < ends and not found.endswith(b"0\r\n\r\n"):
        wanted = 100_000
        while wanted and (chunk := slow.recv(wanted)):
            found += chunk
            wanted -= len(chunk)
            if len(found) >= _WHOLE:
                return bytes(found)
        time.sleep(0.1)
    return bytes(found)


def test_a_client_that_takes_nothing_is_cut(address: tuple[str, int]) -> None:
    with asked(address) as deaf:
        assert is_reset(deaf)


def test_a_client_that_takes_little_stays(address: tuple[str, int]) -> None:
    with asked(address) as slow:
        for _ in range(30):
            assert slow.recv(1 << 20)
            time.sleep(0.1)


def test_an_answer_may_take_as_long_as_some_of_it_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(servers, "TAKEN_S", 1.0)
    monkeypatch.setattr(servers, "HEADERS_S", 1.0)
    with serving(whole) as address:
        began = time.monotonic()
        with asked(address) as slow, asked(address) as deaf:
            assert len(read_slowly(slow, 30)) >= _WHOLE
            assert time.monotonic() - began > 2
            assert is_reset(deaf)


def test_so_it_is_over_tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(servers, "TAKEN_S", 1.0)
    monkeypatch.setattr(servers, "HEADERS_S", 1.0)
    key, certificate = str(tmp_path / "key.pem"), str(tmp_path / "cert.pem")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
         "-keyout", key, "-out", certificate, "-days", "2", "-nodes", "-subj", "/CN=localhost"],
        check=True,
        capture_output=True,
    )  # fmt: skip
    trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
    with (
        serving(whole, tls=(certificate, key)) as address,
        asked(address, trusting) as slow,
        asked(address, trusting) as deaf,
    ):
        assert len(read_slowly(slow, 30)) >= _WHOLE
        assert is_reset(deaf)


def test_a_stream_may_take_as_long_for_a_frame_as_some_of_it_is_taken(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """One frame of megabytes: who reads it has all of it, and who reads nothing is cut."""
    monkeypatch.setattr(servers, "TAKEN_S", 1.5)
    monkeypatch.setattr(hubs, "SLOW_S", 1.0)
    city = LiveCity({})
    told = {"vital": "air.aqi", "key_level": "street", "place": "440111", "t_end": 1, "live": False}
    for n in range(1000):
        raw = orjson.dumps({**told, "key": f"{n:04}", "detail": "x" * 3_200})
        city.take_results([(f"{n:04}".encode(), raw)])
    hub = Hub(city, lambda number, most: asyncio.sleep(0, (0, [])), lambda: b"{}", lambda: 0)
    count = iter(range(1 << 30))

    def tick() -> None:
        raw = orjson.dumps({**told, "key": "0000", "value": next(count)})
        hub.tell(city.take_results([(b"0000", raw)]), [])

    async def streamed(scope: Any, receive: Any, send: Any) -> None:
        client = Client(Choice(), frozenset({"signs"}), 0, taken=scope["state"]["taken"])
        answer = EventSourceResponse(hub.stream(client, False), ping=3600, sep="\n")
        await answer(scope, receive, send)

    with serving(streamed, tick) as address:
        with asked(address) as slow:
            found = read_slowly(slow, 30)
            assert len(found) >= _WHOLE
            assert b"event: bye" not in found
            assert hub.cuts == 0
        with asked(address) as deaf:
            assert is_reset(deaf)
        assert hub.cuts == 1
    assert "took nothing for 1 s" in caplog.text


def test_streams_leave_room_for_who_asks_how_it_is(folder: Path, tmp_path: Path) -> None:
    env = {"CITYVITALS__GATEWAY__CONNECTIONS": "8"}
    data = copied(folder, tmp_path / "data")
    with contextlib.ExitStack() as open_, gateway("--data", data, "--port", 0, env=env) as running:
        statuses = []
        for _ in range(7):
            client = open_.enter_context(running.client())
            answer = open_.enter_context(client.stream("GET", "/stream"))
            statuses.append(answer.status_code)
            if answer.status_code == 503:
                assert orjson.loads(answer.read())["error"] == "too_many_streams"
                break
        assert statuses == [200] * 4 + [503]
        with running.client() as client:
            assert client.get("/live").status_code == 200


def test_one_address_leaves_connections_to_others(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(servers, "is_loopback", lambda address: address == "127.0.0.2")
    with serving(whole) as address, contextlib.ExitStack() as open_:
        # Of ten connections.
        seven = [open_.enter_context(asked(address)) for _ in range(7)]
        assert all(one.recv(100) for one in seven)
        eighth = open_.enter_context(socket.create_connection(address, 30))
        with contextlib.suppress(ConnectionResetError):
            assert eighth.recv(100) == b""
        assert "127.0.0.1 has too many connections" in caplog.text
        with socket.create_connection(address, 30, ("127.0.0.2", 0)) as other:
            other.sendall(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n")
            assert other.recv(100).startswith(b"HTTP/1.1 200")


# --- the audit log -----------------------------------------------------------------------------


def offsets(folder: Path) -> int:
    with contextlib.closing(LogStore(folder)) as store:
        return sum(store.end_offset(SENSOR, n) for n in range(store.partitions(SENSOR)))


def test_what_can_not_be_recorded_is_not_done(folder: Path, tmp_path: Path) -> None:
    data = copied(folder, tmp_path / "data")
    with gateway("--data", data, "--port", 0) as running, running.client() as client:
        alert = client.get("/alerts", params={"kind": "threshold"}).json()["items"][0]["alert_id"]
        log = data / "gateway" / "audit.ndjson"
        log.unlink(missing_ok=True)
        log.mkdir()
        before = offsets(data)
        told = {"name": "night shift", "reason": "seen"}
        asked = (
            client.post(f"/alerts/{alert}/ack", json=told),
            client.post("/events", params={"topic": SENSOR}, content=reading()),
        )
        for answer in asked:
            assert answer.status_code == 503
            assert answer.json()["error"] == "no_audit"
        assert offsets(data) == before


def reading() -> bytes:
    return orjson.dumps(
        {
            "device": "d1",
            "metric": "water_depth",
            "value": 3.0,
            "unit": "cm",
            "t": time.time_ns() // 1_000_000,
            "place": "440111004003012",
            "source": "tests",
        }
    )


# --- parameters --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def running(folder: Path) -> Iterator[Running]:
    with gateway("--data", folder, "--port", 0) as found:
        yield found


def test_a_parameter_that_is_none_is_named(running: Running) -> None:
    with running.client() as client:
        answer = client.get("/signs", params={"domian": "air"})
        assert answer.status_code == 422
        assert "domian" in answer.json()["hint"]
        assert "domain" in answer.json()["hint"]
        assert client.get("/live", params={"x": "1"}).status_code == 422


@pytest.mark.parametrize("size", [40_000, 120_000])
def test_a_head_that_is_too_large_is_refused_however_it_comes(running: Running, size: int) -> None:
    headers = {f"x-{n}": "x" * 1000 for n in range(size // 1000)}
    with running.client() as client:
        for query, more in (("", {"x-more": "x" * size}), ("", headers), ("x" * 40_000, {})):
            try:
                answer = client.get(f"/live?{query}", headers=more)
            except httpx.NetworkError:
                continue
            # What comes in parts is refused before all of it is there.
            assert answer.status_code in (400, 431)
            if answer.status_code == 431:
                told = answer.json()
                assert told["error"] == "head_too_large"
                assert told.keys() == {"error", "message_zh", "message", "hint"}
        assert client.get("/live", headers={"x-more": "x" * 30_000}).status_code == 200


def test_a_head_that_comes_at_once_is_answered_as_too_large() -> None:
    head = {"type": "http", "headers": [(b"x", b"y" * 40_000)], "query_string": b""}
    guard: Any = Guard.__new__(Guard)
    assert guard._check(head, None) == "head_too_large"


def test_heads_are_answered_without_a_body(running: Running) -> None:
    with running.client() as client:
        whole, head = client.get("/signs"), client.head("/signs")
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["etag"] == whole.headers["etag"]
        assert client.head("/stream").status_code == 405


def test_alerts_by_when_something_was_said_of_them(running: Running) -> None:
    with running.client() as client:
        every = client.get("/alerts", params={"state": "all"}).json()
        assert every["total"] == len(every["items"]) > 1
        newest = client.get("/alerts", params={"state": "all", "order": "newest"}).json()["items"]
        times = [one["t_update"] for one in newest]
        assert times == sorted(times, reverse=True)
        since = client.get("/alerts", params={"state": "all", "since": times[0]}).json()
        assert {one["t_update"] for one in since["items"]} == {times[0]}
        cut = client.get("/alerts", params={"state": "all", "limit": 1, "format": "csv"})
        assert cut.headers["x-total-count"] == str(every["total"])
        worst = client.get("/alerts", params={"state": "all", "max_level": 4}).json()["items"]
        assert worst == [one for one in every["items"] if one["max_level"] == 4]
