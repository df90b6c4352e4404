"""Tables of standards: of each kind there is one for a day, and signs that use it."""

from __future__ import annotations

from collections import defaultdict
from datetime import date, timedelta

from schemas.loading import load
from schemas.standards.dated import TABLES, Table, tables_of


def test_each_day_has_one_table_of_a_kind() -> None:
    by_kind: dict[str, list[Table]] = defaultdict(list)
    for table in TABLES:
        by_kind[table.id].append(table)
    for tables in by_kind.values():
        for day in (date(2018, 1, 1), date(2026, 2, 28), date(2026, 3, 1), date(2031, 1, 1)):
            assert sum(table.holds_on(day) for table in tables) == 1


def test_the_air_index_changes_with_march_2026() -> None:
    on = {
        day: [t.label for t in TABLES if t.id == "aqi" and t.holds_on(day)]
        for day in (
            date(2026, 3, 1) - timedelta(days=1),
            date(2026, 3, 1),
        )
    }
    assert list(on.values()) == [["HJ 633-2012"], ["HJ 633-2026"]]


def test_signs_name_the_tables_that_they_use() -> None:
    told = {table["label"]: table["signs"] for table in tables_of(load(environ={}).signs)}
    assert told["GB 3838-2002"] == ["waterenv.class"]
    assert "traffic.tpi" in told["GB/T 33171-2016"]
    assert set(told["GB 3096-2008"]) >= {"noise.day_excess", "noise.night_excess"}
    assert "air.aqi_day" in told["HJ 633-2012"]
    assert "air.aqi_day" in told["HJ 633-2026"]
    assert told["NEWS2"] == ["care.news2"]
