"""Results and transitions in a real PostgreSQL: each once, whatever ends meanwhile."""

from __future__ import annotations

import asyncio
import random
import re
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import psycopg
import pytest
from pydantic import ValidationError

from agents.gateway import copier
from agents.gateway.postgres import Postgres, Unreachable
from agents.gateway.postgres_rows import result_rows, transition_rows
from agents.gateway.running import copier_of
from schemas.postgres_sink import PostgresSink
from tests.gateway.results import START, encoded, result
from tests.kafka.broker_jars import MissingError
from tests.postgres.server import Server

ROOT = Path(__file__).parents[2]
MINUTE = 60_000
LANE = "city.vitals-log.v1/0"
ALERT = "dfadb92ff6ac6b23ef755176"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    try:
        running = Server()
    except MissingError as error:
        pytest.skip(str(error))
    running.start()
    yield running
    running.remove()


@pytest.fixture
def schema(server: Server, request: pytest.FixtureRequest) -> str:
    """A schema of this test's own."""
    name = request.node.name.partition("[")[0]
    ask(server, f"CREATE SCHEMA {name}")
    return str(name)


@pytest.fixture
def sink(server: Server, schema: str) -> Iterator[Postgres]:
    opened = Postgres(server.dsn, schema, keep_ms=86_400_000)
    yield opened
    opened.close()


def ask(server: Server, statement: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(server.dsn, autocommit=True) as db:
        cursor = db.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []


def moment(t: int) -> datetime:
    return datetime.fromtimestamp(t / 1000, UTC)


def alert(t: int, **changed: Any) -> dict[str, Any]:
    told: dict[str, Any] = {
        **{"alert_id": ALERT, "rule": "drain.depth", "kind": "threshold"},
        **{"key_level": "site", "key": "underpass-1", "place": "440111004", "state": "raised"},
        **{"transition": "raised", "level": 2, "max_level": 2, "t_onset": START, "t_raised": t},
        **{"t_update": t, "t_cleared": None, "late": False, "value": 16.5, "unit": "cm"},
        **{"acked": False, "shelved_until": None, "suppressed_by": None, "certainty": None},
        **{"suppresses": [], "labels": {"rule": "drain.depth"}, "annotations": {"zh": "积水"}},
        "why": {
            **{"t_start": START, "t_end": t, "n": 60, "value": 16.5, "threshold": 15.0},
            **{"compare": "ge", "threshold_source": "proposal", "standing": "proposal"},
            **{"coverage": 1.0, "config": "2026.11+bcbd43797732", "contributors": []},
        },
    }
    return told | changed


@pytest.mark.postgres
def test_a_result_is_a_row(sink: Postgres, server: Server, schema: str) -> None:
    model = {"basis": "hour_of_week", "score": 0.31, "expected": 2.1, "band": [0.9, 3.3]}
    told = [
        result(START + 1, 11.75, model=model, detail={"child": "井盖-4"}),
        result(START + 2, None, n=0, coverage=0.0, place=None),
    ]
    sink.append(map(encoded, told), [], {LANE: 2})
    names = "sign, key, t_start, t_end, place, value, unit, n, coverage, level, reason, rev, final"
    more = "expected, low, high, score, detail, live"
    one, two = ask(server, f"SELECT {names}, {more} FROM {schema}.vital_results ORDER BY t_end")
    assert one[:4] == ("drain.depth", "440111", moment(START + 1 - MINUTE), moment(START + 1))
    assert one[4:13] == ("440111", 11.75, "cm", 60, 1.0, 1, None, 0, False)
    assert one[13:] == (2.1, 0.9, 3.3, 0.31, {"child": "井盖-4"}, False)
    assert two[4:13] == (None, None, "cm", 0, 0.0, None, "uncovered", 0, False)
    assert two[13:] == (None, None, None, None, None, False)
    assert sink.position() == {LANE: 2}


@pytest.mark.postgres
@pytest.mark.parametrize("apart", [True, False], ids=["apart", "together"])
def test_the_final_stays(server: Server, apart: bool) -> None:
    schema = f"final_{apart}".lower()
    ask(server, f"CREATE SCHEMA {schema}")
    sink = Postgres(server.dsn, schema)
    told = [(1.0, 0), (2.0, 1), (3.0, 0), (4.0, 0)]
    records = [encoded(result(START, value, rev=rev)) for value, rev in told]
    for batch in [[record] for record in records] if apart else [records]:
        sink.append(batch, [], {})
    rows = ask(server, f"SELECT value, rev, final FROM {schema}.vital_results")
    assert rows == [(2.0, 1, True)]
    sink.close()


@pytest.mark.postgres
def test_a_transition_is_a_row_once(sink: Postgres, server: Server, schema: str) -> None:
    steps = [
        orjson.dumps(alert(START)),
        orjson.dumps(alert(START + 1, state="cleared", t_cleared=START + 1, level=0)),
    ]
    for sent in (steps[:1], steps, steps):
        sink.append([], sent, {"city.alert-log.v1/0": len(sent)})
    names = "alert_id, rule, key, state, level, t_update, t_cleared, acked, alert->'why'->>'n'"
    rows = ask(server, f"SELECT {names} FROM {schema}.alert_transitions ORDER BY t_update")
    assert rows == [
        (ALERT, "drain.depth", "underpass-1", "raised", 2, moment(START), None, False, "60"),
        *[
            (
                ALERT,
                "drain.depth",
                "underpass-1",
                "cleared",
                0,
                *[moment(START + 1)] * 2,
                False,
                "60",
            )
        ],
    ]


@pytest.mark.postgres
def test_all_of_an_append_is_there_or_nothing(sink: Postgres, server: Server, schema: str) -> None:
    sink.append([], [], {LANE: 1})
    ask(server, f"ALTER TABLE {schema}.alert_transitions ADD CHECK (false)")
    with pytest.raises(psycopg.errors.CheckViolation):
        sink.append([encoded(result(START))], [orjson.dumps(alert(START))], {LANE: 2})
    assert ask(server, f"SELECT * FROM {schema}.vital_results") == []
    assert sink.position() == {LANE: 1}


@pytest.mark.postgres
def test_what_is_old_is_deleted(sink: Postgres, server: Server, schema: str) -> None:
    ends = [START, START + 1]
    steps = [orjson.dumps(alert(t)) for t in ends]
    sink.append([encoded(result(t)) for t in ends], steps, {})
    sink.trim(START + 86_400_000)
    assert ask(server, f"SELECT t_end FROM {schema}.vital_results") == [(moment(START + 1),)]
    assert ask(server, f"SELECT t_update FROM {schema}.alert_transitions") == [(moment(START + 1),)]


@pytest.mark.postgres
def test_characters_that_postgres_has_not_stop_nothing(
    sink: Postgres, server: Server, schema: str
) -> None:
    told = encoded(result(START, key="a\0b", detail={"child": "\0"}))
    sink.append([told, b"{}", encoded(result(1 << 62))], [b"{}"], {})
    assert ask(server, f"SELECT key FROM {schema}.vital_results") == [("a\ufffdb",)]
    assert sink.refused == 3


class Log:
    """A feed of numbered results and transitions, a few at once."""

    def __init__(self, count: int) -> None:
        self.count, self.asked = count, 0

    def results_log(self, position: int, reader: str) -> list[tuple[int, bytes]]:
        self.asked = max(self.asked, position)
        numbers = range(position, min(position + 2, self.count))
        return [(n, encoded(result(START + n * MINUTE, float(n)))) for n in numbers]

    def transitions(self, number: int, most: int) -> list[tuple[int, bytes]]:
        numbers = range(number, min(number + 2, self.count))
        return [(n, orjson.dumps(alert(START + n))) for n in numbers]

    def now(self) -> int:
        return START


@pytest.mark.postgres
def test_a_server_that_crashes_loses_and_doubles_nothing(
    server: Server, schema: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A copier goes on from the position while the server is ended and started at random."""
    rng, count = random.Random(4), 300
    monkeypatch.setattr(copier, "_SHORTEST_S", 0.01)
    monkeypatch.setattr(copier, "_PAUSE_S", 0.0)
    log, done = Log(count), threading.Event()

    async def write() -> None:
        sink = Postgres(server.dsn, schema)
        copying = asyncio.create_task(copier.Copier(sink).run(log))  # type: ignore[arg-type]
        while log.asked < count:
            await asyncio.sleep(0.01)
        copying.cancel()
        await asyncio.gather(copying, return_exceptions=True)
        sink.close()
        done.set()

    writer = threading.Thread(target=lambda: asyncio.run(write()))
    writer.start()
    crashes = 0
    while not done.wait(rng.uniform(0.02, 0.2)) and crashes < 8:
        server.crash()
        crashes += 1
        server.start()
    writer.join(60)
    assert done.is_set()
    assert crashes >= 2
    rows = ask(server, f"SELECT t_end, value FROM {schema}.vital_results ORDER BY t_end")
    assert rows == [(moment(START + n * MINUTE), float(n)) for n in range(count)]
    (found,) = ask(
        server, f"SELECT count(*), count(DISTINCT t_update) FROM {schema}.alert_transitions"
    )
    assert found == (count, count)


@pytest.mark.postgres
def test_a_server_that_is_not_there_is_told_without_its_password(server: Server) -> None:
    server.crash()
    try:
        sink = Postgres(server.dsn)
        with pytest.raises(Unreachable, match="PostgreSQL: ") as caught:
            sink.append([encoded(result(START))], [], {LANE: 1})
        assert server.password not in str(caught.value)
    finally:
        server.start()


def grafana_queries() -> Iterator[tuple[str, str]]:
    """Titles and statements of the dashboard, as Grafana gives them to PostgreSQL."""
    dashboard = orjson.loads((ROOT / "docker" / "grafana" / "history.json").read_bytes())
    chosen = {"sign": "drain.depth", "key_level": "district", "key": "440111"}
    told = [(one["name"], one["query"]) for one in dashboard["templating"]["list"]]
    told += [(p["title"], t["rawSql"]) for p in dashboard["panels"] for t in p["targets"]]
    for title, text in told:
        for name, value in chosen.items():
            text = text.replace(f"${{{name}:sqlstring}}", f"'{value}'")
        between = rf"\1 BETWEEN '{moment(START)}' AND '{moment(START + 10 * MINUTE)}'"
        text = re.sub(r"\$__timeFilter\((\w+)\)", between, text)
        seconds = r'floor(extract(epoch from \1)/120)*120 AS "time"'
        text = re.sub(r"\$__timeGroupAlias\((\w+), \$__interval\)", seconds, text)
        assert "$" not in text
        yield title, text


@pytest.mark.postgres
def test_grafana_draws_from_the_tables(sink: Postgres, server: Server, schema: str) -> None:
    told = [result(START + n * MINUTE, float(n)) for n in range(1, 5)]
    told += [result(START + 5 * MINUTE, None), result(START, key="440106")]
    told += [result(START, vital="air.aqi", key_level="station", key="s-1")]
    steps = [orjson.dumps(alert(START + MINUTE))]
    sink.append(map(encoded, told), steps, {})
    # A user of Grafana may read and nothing else.
    ask(server, f"CREATE ROLE only_reads; GRANT USAGE ON SCHEMA {schema} TO only_reads;")
    ask(server, f"GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO only_reads")
    said: dict[str, list[tuple[Any, ...]]] = {}
    for title, text in grafana_queries():
        with psycopg.connect(server.dsn, autocommit=True) as db:
            db.execute(f"SET ROLE only_reads; SET search_path TO {schema}".encode())
            said[title] = db.execute(text.encode()).fetchall()
    assert said["sign"] == [("air.aqi",), ("drain.depth",)]
    assert said["key_level"] == [("district",)]
    assert said["key"] == [("440106",), ("440111",)]
    first = START // 1000
    rows = [(first, 1.0, 1.0, 1.0), (first + 120, 2.5, 2.0, 3.0), (first + 240, 4.0, 4.0, 4.0)]
    assert said["$sign at $key"] == rows
    assert [row[1] for row in said["Level"]] == [1, 1, 1]
    shares = said["Coverage, and windows without a value"]
    assert [float(row[2]) for row in shares] == [0.0, 0.0, 0.5]
    assert [row[1:] for row in said["Alerts raised"]] == [("yellow", 1)]
    assert said["Alert transitions"][0][1:4] == ("raised", 2, "drain.depth")
    assert len(said["What the model expected"]) == 3


def test_of_a_batch_a_window_is_taken_once() -> None:
    told = [result(START, 1.0, rev=1), result(START, 2.0), result(START, 3.0, rev=1)]
    rows = result_rows(map(encoded, told))
    assert (rows.size, rows.columns[6]) == (1, [3.0])
    assert transition_rows([orjson.dumps(alert(START))] * 2).size == 1


def test_the_configuration_names_a_file_and_a_plain_schema() -> None:
    told = PostgresSink(dsn_file="/run/secrets/postgres")
    assert (told.tables_in, told.keep_days) == ("public", None)
    for wrong in ({"tables_in": 'a"; drop'}, {"keep_days": 0}, {"dsn_file": ""}):
        with pytest.raises(ValidationError):
            PostgresSink.model_validate({"dsn_file": "x"} | wrong)


def test_the_gateway_copies_where_a_configuration_says_so(tmp_path: Path) -> None:
    assert copier_of(None) is None
    file = tmp_path / "dsn"
    told = PostgresSink(dsn_file=str(file), keep_days=3)
    with pytest.raises(ValueError, match=r"gateway\.postgres\.dsn_file: .*No such file"):
        copier_of(told)
    file.write_text("postgresql://127.0.0.1:1/city\n", "utf-8")
    copying = copier_of(told)
    assert copying is not None
    with pytest.raises(Unreachable):
        copying.step(Log(1))  # type: ignore[arg-type]
    copying.close()
