"""A gateway that runs over a city's data folder: what it answers, streams, takes and refuses."""

from __future__ import annotations

import asyncio
import http.client
import json
import re
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import httpx
import jsonschema_rs
import orjson
import pytest
from prometheus_client import generate_latest

from agents.gateway import feed as feeds
from agents.gateway import service as services
from agents.gateway.access import ROUTES
from agents.gateway.application import registry_of
from agents.gateway.audit import verify
from agents.gateway.city import LiveCity
from agents.gateway.copier import Copier
from agents.gateway.wire import LEAST
from agents.outputs import ALERT_LOG, ALERTS, VITALS, VITALS_LOG, Output
from streams.log_store import LogStore
from tests.commands.console import SCRIPT
from tests.gateway.running import (
    Running,
    copied,
    events,
    folder_of,
    gateway,
    until,
    with_more_alerts,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return with_more_alerts(folder_of(tmp_path_factory.mktemp("gateway") / "data"))


@pytest.fixture(scope="module")
def running(folder: Path) -> Iterator[Running]:
    with gateway("--data", folder, "--port", 0) as found:
        yield found


@pytest.fixture
def client(running: Running) -> Iterator[httpx.Client]:
    with running.client() as found:
        yield found


def latest(folder: Path, topic: str) -> list[dict[str, Any]]:
    store = LogStore(folder)
    try:
        return [orjson.loads(row.value) for row in store.latest(topic)]
    finally:
        store.close()


# --- what it answers ---------------------------------------------------------------------------


def test_signs_are_those_of_the_topic(client: httpx.Client, folder: Path) -> None:
    found = client.get("/signs").json()
    said = latest(folder, VITALS)
    assert found["items"] == said
    assert found["as_of"] == max(one["t_end"] for one in said if not one["live"])
    some = client.get("/signs", params={"under": "440111", "key_level": "district"}).json()
    assert some["items"] == [
        one for one in said if one["place"].startswith("440111") and one["key_level"] == "district"
    ]
    assert some["items"]


def test_a_key_is_found_by_its_name(client: httpx.Client, folder: Path) -> None:
    one = latest(folder, VITALS)[0]
    path = f"/signs/{one['vital']}/{one['key_level']}/{one['key']}"
    assert client.get(path).json() == one
    assert client.get(f"{path}9").status_code == 404


def test_what_did_not_change_is_not_sent_again(client: httpx.Client) -> None:
    first = client.get("/signs", params={"domain": "air"})
    again = client.get(
        "/signs", params={"domain": "air"}, headers={"if-none-match": first.headers["etag"]}
    )
    assert (again.status_code, again.content) == (304, b"")


def test_a_tag_is_that_of_the_chosen_items_alone(folder: Path, tmp_path: Path) -> None:
    data = copied(folder, tmp_path / "data")
    here, there = {"under": "440111"}, {"under": "440103"}
    with gateway("--data", data, "--port", 0) as other, other.client() as client:
        before = [client.get("/signs", params=params) for params in (here, there)]
        one = before[0].json()["items"][0]
        changed = {**one, "t_end": one["t_end"] + 3_600_000, "value": 1.5}
        key = f"{one['vital']}|{one['key_level']}|{one['key']}".encode()
        put(data, [Output(VITALS, key, orjson.dumps(changed), (("ce_id", b"x"),), 1, None)])
        path = f"/signs/{one['vital']}/{one['key_level']}/{one['key']}"
        wait_for(lambda: client.get(path).json() == changed)
        codes = []
        for params, known in zip((here, there), before, strict=True):
            headers = {"if-none-match": known.headers["etag"]}
            codes.append(client.get("/signs", params=params, headers=headers).status_code)
        assert codes == [200, 304]
        assert client.get("/signs", params=there).json()["as_of"] >= changed["t_end"]
        csv = client.get("/signs", params={**there, "format": "csv"})
        assert csv.headers["etag"] != before[1].headers["etag"]


@pytest.mark.parametrize(
    ("path", "params"),
    [
        ("/signs", {}),
        ("/signs", {"format": "csv"}),
        ("/alerts", {"state": "all"}),
        ("/history", {"sign": "meteo.rain_1h", "key_level": "district", "key": "440111",
                      "from": 0, "resolution": "raw"}),
        ("/catalogue", {}),
        ("/accounting", {}),
        ("/openapi.json", {}),
    ],
    ids=str,
)  # fmt: skip
def test_answers_are_compressed_for_who_takes_that(
    client: httpx.Client, path: str, params: dict[str, Any]
) -> None:
    plain = client.get(path, params=params, headers={"accept-encoding": "identity"})
    small = client.get(path, params=params, headers={"accept-encoding": "gzip"})
    assert "content-encoding" not in plain.headers
    # What the city said in its seconds may be too little.
    coding = "gzip" if len(plain.content) >= LEAST else None
    assert coding or path in ("/history", "/alerts")
    assert small.headers.get("content-encoding") == coding
    if coding:
        assert int(small.headers["content-length"]) < 0.7 * len(plain.content)
    for answer in (plain, small):
        assert "accept-encoding" in answer.headers["vary"]
        assert answer.headers["x-content-type-options"] == "nosniff"
    if path not in ("/signs", "/alerts", "/accounting") or params.get("format"):
        assert small.content == plain.content
    assert small.headers.get("etag") == plain.headers.get("etag")
    head = client.head(path, params=params, headers={"accept-encoding": "gzip"})
    assert head.headers.get("content-encoding") == coding
    assert head.content == b""
    if "etag" in small.headers:
        # Also where somebody between took the tag for a strong one.
        for tag in (small.headers["etag"], small.headers["etag"].removeprefix("W/")):
            headers = {"if-none-match": tag, "accept-encoding": "gzip"}
            again = client.get(path, params=params, headers=headers)
            assert (again.status_code, again.content) == (304, b"")
            assert "accept-encoding" in again.headers["vary"]
            assert "content-encoding" not in again.headers


def test_what_is_small_or_a_stream_is_not_compressed(client: httpx.Client) -> None:
    assert "content-encoding" not in client.get("/live").headers
    assert (
        "content-encoding"
        not in client.get("/signs", headers={"accept-encoding": "gzip;q=0"}).headers
    )
    with client.stream("GET", "/stream", headers={"accept-encoding": "gzip"}) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert "content-encoding" not in answer.headers
        assert next(events(answer.iter_lines()))[0] == "hello"


def test_signs_as_csv(client: httpx.Client) -> None:
    answer = client.get("/signs", params={"format": "csv", "limit": 3})
    head, *rows = answer.text.splitlines()
    assert head.startswith("vital,key_level,key,place,t_start,t_end,value")
    assert len(rows) == 3


def test_alerts_are_those_of_the_topic(client: httpx.Client, folder: Path) -> None:
    there = {one["alert_id"]: one for one in latest(folder, ALERTS)}
    found = client.get("/alerts", params={"state": "all"}).json()["items"]
    assert {one["alert_id"]: one for one in found} == there
    standing = client.get("/alerts").json()["items"]
    assert standing
    assert {one["alert_id"] for one in standing} == {
        id for id, one in there.items() if one["state"] != "cleared"
    }
    aside = [one["suppressed_by"] is not None for one in standing]
    assert aside == sorted(aside)
    levels = [one["level"] for one in standing if one["suppressed_by"] is None]
    assert levels == sorted(levels, reverse=True)


def test_an_alert_tells_its_transitions(client: httpx.Client, folder: Path) -> None:
    one = client.get("/alerts").json()["items"][0]
    told = client.get(f"/alerts/{one['alert_id']}").json()
    assert told["alert"] == one
    assert told["transitions"][0]["transition"] == "raised"
    assert told["transitions"][-1] == one
    assert client.get(f"/alerts/{one['alert_id'][:8]}").json() == told
    assert client.get("/alerts/nobody").status_code == 404


def test_transitions_that_are_not_in_memory_are_read_from_the_log(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feeds, "KEPT", 1)
    monkeypatch.setattr(services, "_PAGE", 2)
    with closing(LogStore(folder)) as store:
        log: dict[str, list[Any]] = {}
        for record in store.every_record(ALERT_LOG):
            one = orjson.loads(record.value)
            log.setdefault(one["alert_id"], []).append(one)
        city = LiveCity({})
        service = services.Service(feeds.FolderFeed(store, folder), city)
        service._take(service.feed.begin())
        assert len(city.moved) == 1
        for alert_id, moved in log.items():
            found = asyncio.run(service.transitions_of(city.alerts[alert_id]))
            assert found == moved
    assert len(log) > 1


def test_one_sign_is_answered_by_its_tag(client: httpx.Client, folder: Path) -> None:
    one = latest(folder, VITALS)[0]
    path = f"/signs/{one['vital']}/{one['key_level']}/{one['key']}"
    first = client.get(path)
    assert first.json() == one
    again = client.get(path, headers={"if-none-match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_history_is_what_the_log_says(client: httpx.Client, folder: Path) -> None:
    store = LogStore(folder)
    said: dict[int, dict[str, Any]] = {}
    for record in store.every_record(VITALS_LOG):
        one = orjson.loads(record.value)
        if (one["vital"], one["key"]) == ("meteo.rain_1h", "440111"):
            said[one["t_end"]] = one
    end = store.end_offset(VITALS_LOG, 0)
    store.close()
    where = {"sign": "meteo.rain_1h", "key_level": "district", "key": "440111"}
    span = {"from": 0, "to": max(said), "resolution": "raw"}
    deadline = time.monotonic() + 60
    found = client.get("/history", params={**where, **span}).json()
    while len(found["t"]) < len(said) and time.monotonic() < deadline:
        time.sleep(0.2)
        found = client.get("/history", params={**where, **span}).json()
    assert end
    assert found["t"] == sorted(said)
    assert found["value"] == [said[t]["value"] for t in found["t"]]
    assert found["level"] == [said[t]["level"] for t in found["t"]]
    assert found["reason"] == [said[t]["reason"] for t in found["t"]]
    assert client.get("/history", params={**where, "resolution": "1x"}).status_code == 422


def test_accounting_adds_up(client: httpx.Client) -> None:
    found = client.get("/accounting").json()
    bins = ("rejected", "duplicate", "late", "filtered", "accepted")
    for one in (found["total"], *found["lanes"]):
        assert one["read"] == sum(one[name] for name in bins)
        assert one["remainder"] == 0
    assert found["total"]["read"] == sum(lane["read"] for lane in found["lanes"]) > 0
    assert found["engine"] == "stopped"
    assert found["behind"]


def test_a_second_gateway_tells_no_address(running: Running, folder: Path) -> None:
    told = ["gateway", "--data", str(folder), "--port", "0"]
    ended = subprocess.run([SCRIPT, *told], capture_output=True, text=True, timeout=60)
    assert ended.returncode == 3
    assert "another gateway writes this history" in ended.stderr
    assert "page " not in ended.stderr


def test_what_does_not_work_is_told(client: httpx.Client) -> None:
    """A history on a full disk, and a database that is away."""
    found = client.get("/accounting").json()
    assert found["history_trouble"] is found["postgres_trouble"] is None
    assert 'cityvitals_gateway_trouble{part="history"} 0.0' in client.get("/metrics").text

    def full(*_: object) -> Any:
        raise OSError("no space left")

    sink: Any = SimpleNamespace(position=full)
    feed: Any = SimpleNamespace(results_log=full)
    keeper, copying = services.Keeper(full, full, lambda _: None), Copier(sink)
    service = services.Service(feed, LiveCity({}), keeper, copying)

    async def fail() -> None:
        loops = keeper.run(service.feed, lambda: False), copying.run(service.feed)
        tasks = [asyncio.create_task(loop) for loop in loops]
        while None in (keeper.trouble, copying.trouble):
            await asyncio.sleep(0.01)
        for task in tasks:
            task.cancel()

    asyncio.run(asyncio.wait_for(fail(), 10))
    told = service.accounting()
    assert (told["trouble"], told["history_trouble"]) == (None, "no space left")
    assert told["postgres_trouble"] == "no space left"
    lines = generate_latest(registry_of(service)).decode().splitlines()
    assert [line for line in lines if line.startswith("cityvitals_gateway_trouble")] == [
        'cityvitals_gateway_trouble{part="log"} 0.0',
        'cityvitals_gateway_trouble{part="history"} 1.0',
        'cityvitals_gateway_trouble{part="postgres"} 1.0',
    ]


def test_dead_letters_tell_why(client: httpx.Client) -> None:
    found = client.get("/deadletters", params={"limit": 5}).json()
    assert 0 < len(found["items"]) <= 5
    assert all(one["reason"] and one["where"] and one["hint"] for one in found["items"])
    assert sum(found["reasons"].values()) == len(found["items"])


def test_dead_letters_show_what_records_look_like_and_nothing_of_them(
    client: httpx.Client, folder: Path
) -> None:
    found = client.get("/deadletters", params={"limit": 1000}).json()
    assert found["examples"].keys() == found["reasons"].keys()
    with closing(LogStore(folder)) as store:
        for one in found["items"]:
            raw = store.records(one["topic"], one["partition"], one["offset"], 1)[0].value
            shown = found["examples"][one["reason"]]
            assert shown
            assert not re.search("[0-8]", shown)
            for text in re.findall(rb'"[a-z_]+":"([^"]+)"', raw):
                assert f'"{text.decode()}"' not in shown


def test_places_have_names_and_parents(client: httpx.Client) -> None:
    found = {one["code"]: one for one in client.get("/places").json()["places"]}
    assert len([one for one in found.values() if one["level"] == "district"]) == 11
    assert all(one["parent"] in found for one in found.values() if one["level"] != "city")
    assert all(one["zh"] and one["en"].isprintable() for one in found.values())
    assert [found[code]["en"] for code in ("4401", "440111", "440111103")] == [
        "Guangzhou", "Baiyun", "Renhe Town",
    ]  # fmt: skip


def test_documents_are_whole(client: httpx.Client) -> None:
    openapi = client.get("/openapi.json").json()
    paths = {(m.upper(), path) for path, ways in openapi["paths"].items() for m in ways}
    documents = {("GET", "/openapi.json"), ("GET", "/asyncapi.json")}
    assert paths == {(m, p.replace(":path", "")) for m, p in ROUTES} - documents
    asyncapi = client.get("/asyncapi.json").json()
    assert asyncapi["asyncapi"].startswith("3.")
    for document in (openapi, asyncapi):
        for reference in _references(document):
            assert _resolved(document, reference) is not None, reference


def test_streams_tell_what_the_document_says(client: httpx.Client, folder: Path) -> None:
    document = client.get("/asyncapi.json").json()
    channel = document["channels"]["stream"]
    assert channel["address"] == "/stream"
    messages = {name: _resolved(document, one["$ref"]) for name, one in channel["messages"].items()}
    assert list(messages) == ["hello", "signs", "alert", "status", "gap", "bye"]
    valid = {
        name: jsonschema_rs.validator_for(
            {**message["payload"], "components": document["components"]}
        )
        for name, message in messages.items()
    }
    for name, message in messages.items():
        for example in message.get("examples", ()):
            valid[name].validate(example["payload"])
    params = {"what": "signs,alerts,status", "last_event_id": "-1"}
    seen = set()
    with client.stream("GET", "/stream", params=params) as answer:
        for name, _, data in events(answer.iter_lines()):
            valid[name].validate(data)
            seen.add(name)
            if seen >= {"hello", "signs", "alert", "status"}:
                break
    told = client.get("/openapi.json").json()["paths"]["/stream"]["get"]["description"]
    readme = (Path(__file__).parents[2] / "README.md").read_text("utf-8")
    for name in messages:
        assert f"- `{name}`: " in told
        (shown,) = re.findall(rf"^\| `{name}` \| `(.+?)` \|", readme, re.MULTILINE)
        if "…" not in shown:
            valid[name].validate(orjson.loads(shown))


def _references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for value in node.values():
            yield from _references(value)
    elif isinstance(node, list):
        for value in node:
            yield from _references(value)


def _resolved(document: Any, reference: str) -> Any:
    for step in reference.removeprefix("#/").split("/"):
        document = document.get(step.replace("~1", "/"))
    return document


# --- streams -----------------------------------------------------------------------------------


def wait_for(found: Callable[[], bool], patience_s: float = 30.0) -> None:
    deadline = time.monotonic() + patience_s
    while not found():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def put(folder: Path, outputs: list[Output]) -> None:
    store = LogStore(folder)
    with store.transaction() as tx:
        tx.send(outputs)
    store.close()


def transitions(folder: Path, count: int, mark: str) -> list[Output]:
    """Transitions as the engine would say them: of an alert that is there, with other ids."""
    alert = latest(folder, ALERTS)[0]
    found = []
    for n in range(count):
        value = orjson.dumps({**alert, "alert_id": f"{mark}{n}", "state": "raised"})
        headers = (("ce_id", f"{mark}{n}/1".encode()),)
        found += [
            Output(topic, f"{mark}{n}".encode(), value, headers, 1, None)
            for topic in (ALERT_LOG, ALERTS)
        ]
    return found


def test_a_stream_tells_everything_first_and_then_what_changes(
    client: httpx.Client, folder: Path
) -> None:
    params = {"under": "440111", "what": "signs,alerts,status"}
    with client.stream("GET", "/stream", params=params) as answer:
        found = events(answer.iter_lines())
        assert next(found)[0] == "hello"
        _, _, status = until(found, "status")
        assert status["total"]["remainder"] == 0
        _, _, signs = until(found, "signs")
        said = [one for one in latest(folder, VITALS) if one["place"].startswith("440111")]
        assert signs == said
        changed = {**said[0], "t_end": said[0]["t_end"] + 60_000, "value": 1.5}
        key = f"{changed['vital']}|{changed['key_level']}|{changed['key']}".encode()
        put(folder, [Output(VITALS, key, orjson.dumps(changed), (("ce_id", b"x"),), 1, None)])
        assert until(found, "signs")[2] == [changed]


def test_a_client_that_comes_again_gets_each_transition_it_missed_once(
    client: httpx.Client, folder: Path
) -> None:
    with client.stream("GET", "/stream", params={"what": "alerts"}) as answer:
        found = events(answer.iter_lines())
        assert next(found)[0] == "hello"
        put(folder, transitions(folder, 3, "first"))
        seen = [until(found, "alert") for _ in range(2)]
    assert [data["alert_id"] for _, _, data in seen] == ["first0", "first1"]
    put(folder, transitions(folder, 1200, "second"))
    last = seen[-1][1]
    headers = {"last-event-id": str(last)}
    with client.stream("GET", "/stream", params={"what": "alerts"}, headers=headers) as answer:
        found = events(answer.iter_lines())
        assert next(found)[2]["resumed"]
        missed = [until(found, "alert")[2]["alert_id"] for _ in range(1201)]
    assert missed == ["first2", *(f"second{n}" for n in range(1200))]


def test_streams_go_on_over_a_restart_of_the_gateway(folder: Path, tmp_path: Path) -> None:
    folder, last = copied(folder, tmp_path / "data"), ""
    put(folder, transitions(folder, 5, "before"))
    for number, resumes in enumerate((False, True)):
        with gateway("--data", folder, "--port", 0) as second, second.client() as client:
            headers = {"last-event-id": last} if resumes else {}
            params = {"what": "alerts"}
            with client.stream("GET", "/stream", params=params, headers=headers) as answer:
                found = events(answer.iter_lines())
                hello = next(found)
                if resumes:
                    missed = [until(found, "alert")[2]["alert_id"] for _ in range(4)]
                    assert missed == [f"between{n}" for n in range(4)]
                last = str(hello[1])
            if number == 0:
                second.end(9)
                put(folder, transitions(folder, 4, "between"))


def test_who_comes_before_the_log_was_read_misses_nothing(folder: Path, tmp_path: Path) -> None:
    data = copied(folder, tmp_path / "data")
    with (
        gateway("--data", data, "--port", 0) as first,
        first.client() as client,
        client.stream("GET", "/stream", params={"what": "alerts"}) as answer,
    ):
        last = next(events(answer.iter_lines()))[1]
    put(data, transitions(data, 3, "while"))
    second = Running("--data", data, "--port", 0)  # and nobody waits until it is ready
    try:
        headers = {"last-event-id": str(last)}
        params = {"what": "alerts"}
        with (
            second.client() as client,
            client.stream("GET", "/stream", params=params, headers=headers) as answer,
        ):
            found = events(answer.iter_lines())
            assert next(found)[2]["resumed"]
            missed = [until(found, "alert")[2]["alert_id"] for _ in range(3)]
        assert missed == ["while0", "while1", "while2"]
    finally:
        second.end()


def test_a_stream_asks_for_what_there_is(client: httpx.Client) -> None:
    assert client.get("/stream", params={"what": "everything"}).status_code == 422


# --- what it takes -----------------------------------------------------------------------------

READING = {"device": "aq-7", "metric": "pm25", "value": 35.2, "unit": "ug/m3",
           "t": "2026-05-22T06:41:30+08:00", "place": "440111004003012"}  # fmt: skip


def test_events_are_answered_line_by_line(client: httpx.Client, folder: Path) -> None:
    lines = [json.dumps(READING), "", '{"device":"aq-7"', json.dumps({**READING, "value": "no"})]
    body = "\n".join(lines).encode()
    answer = client.post("/events", params={"topic": "city.sensor.v1"}, content=body)
    told = [json.loads(line) for line in answer.text.splitlines()]
    assert [(one["line"], one["accepted"]) for one in told] == [(1, True), (3, False), (4, False)]
    assert told[2]["where"] == "$.value"
    store = LogStore(folder)
    (record,) = store.records("city.sensor.v1", told[0]["partition"], told[0]["offset"], 1)
    store.close()
    assert (record.key, record.value) == (b"aq-7", lines[0].encode())


def test_only_input_topics_are_written(client: httpx.Client) -> None:
    for topic in ("city.vitals.v1", "city.alert-log.v1", "city.control.v1", "nothing"):
        answer = client.post("/events", params={"topic": topic}, content=b"{}")
        assert answer.status_code == 404


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("ack", {"name": "", "reason": "r"}),
        ("ack", {"name": "夜班"}),
        ("ack", {"name": "a\nb", "reason": "r"}),
        ("ack", {"name": "a", "reason": "r", "more": 1}),
        ("shelve", {"name": "a", "reason": "r"}),
        ("shelve", {"name": "a", "reason": "r", "minutes": 0}),
        ("shelve", {"name": "a", "reason": "r", "minutes": 1441}),
        ("shelve", {"name": "a", "reason": "r", "minutes": True}),
    ],
)
def test_a_mark_needs_who_and_why(client: httpx.Client, path: str, body: Any) -> None:
    one = client.get("/alerts", params={"kind": "threshold"}).json()["items"][0]["alert_id"]
    assert client.post(f"/alerts/{one}/{path}", json=body).status_code == 422


def test_what_is_over_can_not_be_marked(client: httpx.Client, folder: Path) -> None:
    over = "over"
    alert = orjson.dumps({**latest(folder, ALERTS)[0], "alert_id": over, "state": "cleared"})
    put(folder, [Output(ALERT_LOG, b"over", alert, (("ce_id", b"over/1"),), 1, None)])
    wait_for(lambda: client.get(f"/alerts/{over}").status_code == 200)
    body = {"name": "夜班", "reason": "看过"}
    assert client.post(f"/alerts/{over}/ack", json=body).status_code == 409
    assert client.post("/alerts/nobody/ack", json=body).status_code == 404


def test_each_change_is_in_the_audit_log(client: httpx.Client, folder: Path) -> None:
    before = len(client.get("/audit").json()["items"])
    client.post("/events", params={"topic": "city.sensor.v1"}, content=b"{}\n")
    found = client.get("/audit").json()
    assert len(found["items"]) == before + 1
    assert found["items"][0]["action"] == "events"
    assert found["items"][0]["detail"] == {"accepted": 0, "refused": 1}
    assert found["verified"]
    assert verify(folder / "gateway")[1] is None


# --- what it refuses ---------------------------------------------------------------------------


@pytest.mark.parametrize("way", [*ROUTES], ids=str)
def test_nobody_gets_nothing(running: Running, way: tuple[str, str]) -> None:
    method, path = way
    answer = httpx.request(method, running.url + path.replace("{", "").replace("}", ""))
    opened = path in ("/live", "/ready") or (path == "/session" and method != "GET")
    assert (answer.status_code == 401) != opened
    if not opened:
        assert answer.json()["error"] == "nobody"


def test_a_session_lets_a_browser_in(running: Running) -> None:
    with httpx.Client(base_url=running.url) as browser:
        assert browser.post("/session", json={"token": "wrong"}).status_code == 401
        answer = browser.post("/session", json={"token": running.token})
        cookie = answer.headers["set-cookie"].lower()
        assert answer.status_code == 204
        assert "httponly" in cookie
        assert "samesite=strict" in cookie
        assert browser.get("/session").json()["role"] == "admin"
        assert browser.delete("/session").status_code == 204
        assert browser.get("/session").status_code == 401


def test_guessing_is_slowed_down(folder: Path, tmp_path: Path) -> None:
    with gateway("--data", copied(folder, tmp_path / "data"), "--port", 0) as other:
        codes = [
            httpx.get(f"{other.url}/signs", headers={"authorization": f"Bearer {n}"}).status_code
            for n in range(15)
        ]
        assert codes[:10] == [401] * 10
        assert 429 in codes


def raw(running: Running, request: bytes, wait_s: float = 20.0) -> bytes:
    """What the gateway answers to these bytes until it closes, or falls silent."""
    where = urlsplit(running.url)
    with socket.create_connection((where.hostname, where.port), timeout=wait_s) as connection:
        connection.settimeout(wait_s)
        try:
            connection.sendall(request)
            found = b""
            while chunk := connection.recv(65536):
                found += chunk
                if b"\r\n\r\n" in found and b"connection: close" not in found.lower():
                    break
        except ConnectionError:
            return found if "found" in locals() else b""
        return found


@pytest.mark.parametrize(
    "path",
    ["/../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "/..%2f..%2fetc%2fpasswd", "//etc/passwd",
     "/static/../../running.py", "/%00"],
)  # fmt: skip
def test_no_path_leads_out(running: Running, path: str) -> None:
    request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
    found = raw(running, request.encode())
    assert b" 404 " in found.split(b"\r\n")[0] or b" 400 " in found.split(b"\r\n")[0]
    assert b"root:" not in found


def test_a_body_without_end_is_refused(running: Running) -> None:
    head = (
        f"POST /events?topic=city.sensor.v1 HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        f"Authorization: Bearer {running.token}\r\n"
    )
    told = raw(running, f"{head}Content-Length: {1 << 30}\r\n\r\n".encode())
    assert b" 413 " in told.split(b"\r\n")[0]
    headers = {"Authorization": f"Bearer {running.token}"}
    # Where the client is still sending, it may not hear the answer.
    assert _posted(running, headers) in (413, None)
    with running.client() as client:
        assert client.get("/live").status_code == 200


def _posted(running: Running, headers: dict[str, str]) -> int | None:
    """The status of an answer to a body of a gigabyte, of which nobody says how long it is."""
    where = urlsplit(running.url)
    connection = http.client.HTTPConnection(str(where.hostname), where.port, timeout=30)
    body = (b"x" * (1 << 20) for _ in range(1 << 10))
    try:
        connection.request("POST", "/events?topic=city.sensor.v1", body, headers)
        return connection.getresponse().status
    except (ConnectionError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def test_headers_without_end_are_refused(running: Running) -> None:
    bomb = "".join(f"X-{n}: {'y' * 1000}\r\n" for n in range(2000))
    found = raw(running, f"GET /live HTTP/1.1\r\nHost: 127.0.0.1\r\n{bomb}\r\n".encode())
    assert b" 200 " not in found.split(b"\r\n")[0]


def test_who_sends_slowly_is_cut(running: Running) -> None:
    began = time.monotonic()
    found = raw(running, b"GET /live HTTP/1.1\r\nHost: 127.0.0.1\r\nX-A: ", 30)
    assert found == b""
    assert time.monotonic() - began < 20


@pytest.mark.parametrize(
    "headers",
    [{"origin": "http://evil.example"}, {"sec-fetch-site": "cross-site"}, {"origin": "null"}],
)
def test_other_sites_change_nothing(client: httpx.Client, headers: dict[str, str]) -> None:
    answer = client.post(
        "/events", params={"topic": "city.sensor.v1"}, content=b"{}", headers=headers
    )
    assert answer.status_code == 403


def test_another_host_is_not_answered(client: httpx.Client) -> None:
    assert client.get("/signs", headers={"host": "evil.example"}).status_code == 421


def test_browsers_are_told_what_they_may(client: httpx.Client) -> None:
    for path in ("/live", "/signs", "/nothing"):
        headers = client.get(path).headers
        assert "script-src 'self'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"


def test_it_refuses_strangers_without_a_certificate(folder: Path) -> None:
    from tests.commands.console import here

    ended = here("gateway", "--data", folder, "--host", "0.0.0.0")
    assert ended.code == 2
    assert "certificate_file" in ended.err


def test_its_files_are_the_owners_alone(running: Running, folder: Path) -> None:
    for path in (folder / "gateway").iterdir():
        assert path.stat().st_mode & 0o077 == 0, path
