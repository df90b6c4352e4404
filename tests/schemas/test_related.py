"""The table of relations: every fault at its line and column, one canonical form, differences."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from schemas.documents import ConfigurationError
from schemas.loading import load
from schemas.register import RegisterError
from schemas.registers import is_table, read_relations, save_relations
from schemas.related import POSITION, Relation, Relations, diff, merge, write
from schemas.related_files import parse_relations
from tests.rules.incident_cities import RELATED
from tests.rules.incident_relations import random_table

HEAD = "relation,from,to,lon,lat,since,until"
GRID = "440111004003012"


def faults(text: str) -> list[str]:
    with pytest.raises(RegisterError) as caught:
        parse_relations(text, "r.csv")
    assert all(problem.file == "r.csv" for problem in caught.value.problems)
    return [f"{p.line}:{p.column} {p.path}: {p.message}" for p in caught.value.problems]


ROWS = {
    "River,river:R1,site:a": "2:1 relation: expected a name of small letters and underscores",
    "site,site:a,site:b": "2:1 relation: 'site' is a key level: choose another name",
    "river,,site:a": "2:7 from: is empty: name a key, or a thing such as river:R1",
    "river,R1,site:a": "2:7 from: expected a level and a key, such as river:a1",
    "river,zone:Z,site:a": "2:7 from: unknown key level 'zone'",
    "river,river:,site:a": "2:7 from: expected a key of 1 to 64 characters behind river:",
    "river,river:R1,river:R2": "2:16 to: unknown key level 'river'",
    "river,river:R1,sit:a": "2:16 to: unknown key level 'sit': did you mean 'site'?",
    "river,river:R1,": "2:16 to: is empty: name a key",
    f"next,grid:{GRID},grid:{GRID}": f"2:{12 + len(GRID)} to: is what the row begins from",
    "next,grid:440111,site:a": "2:6 from: '440111' is the code of a district, not of a grid",
    "next,grid:12,site:a": "2:6 from: is not a place code",
    "river,river:R1 ,site:a": "2:7 from: a space at its end",
    "river,river:R1,site:a,113.2": "2:23 lon: is for rows of the relation position",
    "river,river:R1,site:a,,,2026-01-01": "2:25 since: expected a time with its offset",
    "river,river:R1,site:a,,,2026-01-02T00:00:00Z,2026-01-01T00:00:00Z": "2:46 until: is not after",
    "position,site:a,site:b,113,23": "2:17 to: a position has one key: leave it empty",
    "position,site:a,,113,": "2:22 lat: is empty: a position has lon and lat, in degrees",
    "position,site:a,,181,23": "2:18 lon: expected degrees from -180 to 180",
    "position,site:a,,113,23.12345678": "2:22 lat: expected degrees from -90 to 90",
    "position,position:a,,113,23": "2:10 from: unknown key level 'position'",
    'river,"river:R1,site:a': "2:7 : the quote that begins here is not closed in this line",
    "river,river:R1": "2:15 : the header has 7 columns, this row 2",
}


@pytest.mark.parametrize("row", ROWS)
def test_a_fault_is_told_in_its_place(row: str) -> None:
    whole = (
        row
        if "is not closed" in ROWS[row] or row.count(",") == 1
        else row + "," * (6 - row.count(","))
    )
    found, *_ = faults(f"{HEAD}\n{whole}\n")
    assert found.startswith(ROWS[row])


HEADS = {
    "": "1:1 : the file is empty: begin it with relation,from,to",
    "relation,from,too\n": "1:15 : unknown column 'too': did you mean 'to'?",
    "relation,to\n": "1:1 from: the required column is missing",
    "relation,from,from\n": "1:15 from: the column stands here twice",
}


@pytest.mark.parametrize("text", HEADS)
def test_a_fault_of_the_header_is_told(text: str) -> None:
    assert faults(text)[0].startswith(HEADS[text])


def test_all_faults_are_told() -> None:
    assert len(faults(f"{HEAD}\nriver,,site:a,,,,\nriver,R1,sit:a,,,,\n")) == 3


def test_the_same_time_twice_is_refused() -> None:
    rows = [
        "position,site:a,,113,23,,2026-01-02T00:00:00Z",
        "position,site:b,,113,23,,",
        "position,site:a,,113.1,23,2026-01-01T00:00:00Z,",
    ]
    (found,) = faults("\n".join([HEAD, *rows]))
    assert found.startswith("4:1 : line 2 says this for the same time")
    rows[2] = "position,site:a,,113.1,23,2026-01-02T00:00:00Z,"
    assert len(parse_relations("\n".join([HEAD, *rows]), "r.csv")) == 3


@pytest.mark.parametrize("seed", range(20))
def test_any_table_is_read_as_it_was_written(seed: int, tmp_path: Path) -> None:
    rng = Random(seed)
    table, path = random_table(rng, RELATED), tmp_path / "relations.csv"
    save_relations(table, path)
    assert is_table(path)
    assert read_relations(path) == table
    lines = write(table).splitlines(keepends=True)
    shuffled = [lines[0], *rng.sample(lines[1:], len(lines) - 1)]
    assert parse_relations("".join(shuffled), "r.csv").digest == table.digest


@pytest.mark.parametrize("seed", range(20))
def test_a_difference_makes_the_one_the_other(seed: int) -> None:
    rng = Random(seed)
    old, new = random_table(rng, RELATED), random_table(rng, RELATED)
    found = diff(old, new)
    gone = {*found.removed, *(before for before, _ in found.changed)}
    rows = [row for row in old.rows if row not in gone]
    rows += [*found.added, *(after for _, after in found.changed)]
    assert Relations(rows) == new
    assert diff(new, new).empty
    merged = merge(old, new)
    assert {*new.rows} <= {*merged.rows}
    told = {row[:2] for row in new.rows}
    assert {row for row in merged.rows if row[:2] not in told} == {
        row for row in old.rows if row[:2] not in told
    }


def test_a_configuration_names_its_table(tmp_path: Path) -> None:
    path = tmp_path / "relations.csv"
    plain = load(environ={})
    environ = {"CITYVITALS__RELATIONS_FILE": str(path)}
    with pytest.raises(ConfigurationError, match="No such file"):
        load(environ=environ)
    path.write_text("relation,from,to\nriver,river:R1,sit:a\n")
    with pytest.raises(ConfigurationError, match=r"relations\.csv:2:16"):
        load(environ=environ)
    save_relations(Relations([Relation(POSITION, "site:a", "", 113.0, 23.0)]), path)
    told = load(environ=environ)
    assert len(told.relations) == 1
    assert told.fingerprint != plain.fingerprint
    assert told.with_relations(Relations()).fingerprint == plain.fingerprint
