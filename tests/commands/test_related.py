"""``cityvitals register`` with tables of relations: taken in, compared, kept with a run."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from agents.commands import related
from agents.commands.cli import app
from agents.commands.expectations import keep, kept, with_named
from schemas.loading import load
from schemas.register import Register
from schemas.registers import read_relations, save_relations
from schemas.related import Relation, Relations
from streams.log_store import LogStore
from tests.rules.driven_incidents_related import CASES
from tests.rules.driven_incidents_tools import at

HEAD = "relation,from,to,lon,lat,since,until\n"
ONE = "river,river:R1,station:s1,,,,\n"
TWO = "river,river:R1,site:out,,,,2026-01-01T00:00:00Z\n"
HERE = "position,site:out,,113.2644,23.1291,,\n"


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["register", *map(str, arguments)])


def test_import_makes_a_canonical_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("given.csv").write_text("\ufeffto,from,relation\nsite:out,river:R1,river\n", "utf-8")
    done = run("import", "given.csv")
    assert done.exit_code == 0
    assert done.stdout.startswith("relations.csv: 1 added, 0 changed, 0 removed, 0 unchanged; 1")
    assert related.TABLE.read_text() == HEAD + "river,river:R1,site:out,,,,\n"
    Path("more.csv").write_text(HEAD + ONE + HERE)
    said = json.loads(run("import", "more.csv", "--json").stdout)
    assert (said["added"], said["removed"], said["rows"]) == (2, 1, 2)
    assert said["relations"] == {"position": 1, "river": 1}
    assert said["digest"] == read_relations(related.TABLE).digest
    assert not Path("register.csv").exists()


def test_a_faulty_table_changes_nothing(tmp_path: Path) -> None:
    into, source = tmp_path / "relations.csv", tmp_path / "given.csv"
    into.write_text(HEAD + ONE)
    source.write_text(HEAD + TWO.replace("site:", "sit:"))
    done = run("import", source, "--into", into)
    assert done.exit_code == 2
    assert f"{source}:2:16" in done.stderr.replace("\n", "")
    told = json.loads(run("import", source, "--into", into, "--json").stdout)
    assert [(p["line"], p["column"], p["path"]) for p in told["problems"]] == [(2, 16, "to")]
    assert into.read_text() == HEAD + ONE


def test_diff_says_what_changed(tmp_path: Path) -> None:
    old, new = tmp_path / "old.csv", tmp_path / "new.csv"
    old.write_text(HEAD + ONE + HERE + TWO)
    new.write_text(HEAD + TWO.replace("2026-01-01", "2026-02-01") + HERE.replace("113.2644", "113"))
    done = run("diff", old, new)
    assert done.exit_code == 1
    assert done.stdout.splitlines() == [
        "~ position site:out lon: 113.2644 -> 113",
        "~ river river:R1 site:out until: 2026-01-01T00:00:00Z -> 2026-02-01T00:00:00Z",
        "- river river:R1 station:s1",
    ]
    rows = [json.loads(line) for line in run("diff", old, new, "--json").stdout.splitlines()]
    assert [(row["change"], row["from"]) for row in rows] == [
        ("changed", "site:out"),
        ("changed", "river:R1"),
        ("removed", "river:R1"),
    ]
    assert rows[0]["fields"] == {"lon": [113.2644, 113.0]}
    same = run("diff", old, old)
    assert (same.exit_code, same.stdout) == (0, "")


def test_a_run_keeps_its_table_for_replays(tmp_path: Path) -> None:
    table = Relations([Relation("river", "river:R1", "station:s1")])
    plain = load(environ={})
    with closing(LogStore(tmp_path)) as store:
        keep(store, Register(), table)
        assert kept(store, plain).label == plain.with_relations(table).label
        keep(store, Register())
        assert kept(store, plain).label == plain.label


def test_a_table_beside_event_logs_counts(tmp_path: Path) -> None:
    table, plain = Relations([Relation("river", "river:R1", "station:s1")]), load(environ={})
    save_relations(table, tmp_path / "relations.csv")
    assert with_named(plain, None, [tmp_path]).relations == table
    other = plain.with_relations(Relations([Relation("river", "river:R2", "station:s1")]))
    assert with_named(other, None, [tmp_path]).relations == other.relations


def test_an_alert_says_by_which_relation_it_was_raised(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """A replay takes the table beside its logs, and `explain` names the key elsewhere."""
    case = CASES["an instrument within 200 m"]
    logs, data = tmp_path / "logs", tmp_path / "data"
    logs.mkdir()
    events = sorted((e for e in case.scene.events if e[0] < at("06:19")), key=lambda e: e[0])
    lines = [json.dumps(said) + "\n" for _, _, said in events]
    (logs / "city.sensor.v1.ndjson").write_text("".join(lines))
    save_relations(Relations(case.relations), logs / "relations.csv")
    cli = CliRunner()
    done = cli.invoke(app, ["replay", str(logs), "--data", str(data), "--json", "--port", "0"])
    assert done.exit_code == 0, done.output
    said = (json.loads(line) for line in capfd.readouterr().out.splitlines())
    alerts = [one for one in said if one.get("rule") == "ce.gas_leak"]
    assert [one["transition"] for one in alerts] == ["raised"]
    told = cli.invoke(app, ["explain", alerts[0]["alert_id"], "--data", str(data)])
    assert "g1 (within 200 m)" in told.stdout
    again = cli.invoke(app, ["replay", str(data), "--alert", alerts[0]["alert_id"], "--port", "0"])
    assert again.exit_code == 0, again.output
