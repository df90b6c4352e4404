"""Signs over the events of a window, computed in SQL."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from math import gcd
from zoneinfo import ZoneInfo

import duckdb

from schemas.configuration import Configuration
from schemas.signs import Sign, WindowSign
from tests.oracle.events import needed, taking
from tests.oracle.places import PLACES
from tests.oracle.results import add_results, level_sql

_VALUES = {
    "count": "n",
    "sum": "sx / 1e6::DOUBLE",
    "mean": "sx / 1e6::DOUBLE / n",
    "min": "lo / 1e6::DOUBLE",
    "max": "hi / 1e6::DOUBLE",
    "rate": "sx / 1e6::DOUBLE / ((t_end - t_start) / 1000::DOUBLE)",
    "stddev": "sqrt(greatest(n::HUGEINT * sxx - sx::HUGEINT * sx, 0)::DOUBLE) / n / 1e6::DOUBLE",
    "quantile": "quantile / 1e6::DOUBLE",
    "distinct": "words",
    "ratio": "sx::DOUBLE / nullif(sy, 0)",
    "tpi": "tpi(1 - sy::DOUBLE / nullif(sx, 0))",
}


def compute_window(
    database: duckdb.DuckDBPyConnection, configuration: Configuration, sign: Sign
) -> None:
    """Add the results of a window sign to ``expected``."""
    assert isinstance(sign, WindowSign)
    _Window(database, configuration, sign).compute()


class _Window:
    """The results of one window sign."""

    def __init__(
        self, database: duckdb.DuckDBPyConnection, configuration: Configuration, sign: WindowSign
    ) -> None:
        self.database = database
        self.sign = sign
        self.zone = ZoneInfo(configuration.city.time_zone)
        self.forget = round(configuration.forget_s * 1000)
        window = sign.window
        if window.calendar is None:
            assert window.size_s is not None
            assert window.hop_s is not None
            self.size, self.hop = round(window.size_s * 1000), round(window.hop_s * 1000)
            self.pane = gcd(self.size, self.hop)
        else:
            self.pane = 3_600_000
        self.over = sign.rollup in ("max", "min", "mean", "share")
        self.levels = [level for level in sign.keys if level in PLACES]

    def compute(self) -> None:
        """Add the sign's results to ``expected``."""
        self._make_rows()
        self._make_keyed()
        self._make_windowed()
        self._make_alive()
        self._make_entries()
        wanted = ", ".join(f"'{key}'" for key in self.sign.keys)
        add_results(self.database, "entries", f"key_level IN ({wanted})")
        if self.over:
            self._make_parents()
            add_results(self.database, "parents", "true")

    def _table(self, name: str, query: str) -> None:
        self.database.execute(f"CREATE OR REPLACE TEMP TABLE {name} AS {query}")

    def _make_rows(self) -> None:
        """One row an accepted event that the sign takes; numbers in millionths."""
        function, reads = self.sign.aggregate.function, needed(self.sign)
        x, y, word = "0::BIGINT", "0::BIGINT", "NULL"
        if function == "tpi":
            x = "micro(link_len_m * 3.6::DOUBLE / greatest(speed_kmh, 1))"
            y = "micro(link_len_m * 3.6::DOUBLE / free_flow_kmh)"
        elif function == "distinct":
            word = f'"{reads[0]}"'
        elif reads:
            x = f'micro("{reads[0]}")'
            y = f'micro("{reads[1]}")' if function == "ratio" else y
        covered = "coalesce(period_s, (SELECT m.period_s FROM metrics m WHERE m.code = metric))"
        covered = f"round({covered} * 1000)::BIGINT"
        if self.sign.topic == "traffic":
            covered = "coalesce(t_end - t, 0)"
        elif self.sign.topic == "hotline":
            covered = "0"
        level, key = self._base()
        self._table(
            "taken",
            f"""SELECT e, e // {self.pane} * {self.pane} AS pane,
                    coalesce(e // {self.pane} * {self.pane} + {self.pane} > w, true) AS on_time,
                    place, {x} AS x, {y} AS y, {word} AS word, {covered} AS covered,
                    {level} AS key_level, {key} AS key
                FROM events WHERE bin = 'accepted' AND {taking(self.sign)}""",
        )

    def _base(self) -> tuple[str, str]:
        base = self.sign.base
        if base in PLACES:
            cut = f"coalesce(at_{base}(place), place)"
            return f"level_of({cut})", cut
        sender = "device" if self.sign.topic == "sensor" else "source_id"
        key = f"coalesce(site, {sender})" if base in ("station", "site") else sender
        return f"'{base}'", key

    def _make_keyed(self) -> None:
        """A row for its base key and, where states merge, for the places above."""
        columns = "e, pane, on_time, place, x, y, word, covered"
        parts = [f"SELECT key_level, key, {columns} FROM taken"]
        for level in self.levels if self.sign.rollup == "merge" else ():
            above = f"at_{level}(place) IS NOT NULL"
            if self.sign.base in PLACES:
                above += f" AND length(at_{level}(place)) < length(key)"
            parts.append(f"SELECT '{level}', at_{level}(place), {columns} FROM taken WHERE {above}")
        self._table("keyed", " UNION ALL ".join(parts))

    def _make_windowed(self) -> None:
        """Every row once for each window it lies in."""
        if self.sign.window.calendar is None:
            first = f"((e - {self.size}) // {self.hop} + 1) * {self.hop}"
            starts = f"unnest(range({first}, e + 1, {self.hop})) AS t_start"
            self._table(
                "windowed",
                f"SELECT *, t_start + {self.size} AS t_end FROM (SELECT *, {starts} FROM keyed)",
            )
        else:
            self._make_calendar()
            self._table(
                "windowed",
                "SELECT keyed.*, t_start, t_end FROM keyed JOIN calendar "
                "ON e >= t_start AND e < t_end",
            )

    def _make_calendar(self) -> None:
        assert self.sign.window.calendar == "day"
        self._table("calendar", "SELECT 0::BIGINT AS t_start, 0::BIGINT AS t_end WHERE false")
        found = self.database.execute("SELECT min(e), max(e) FROM events").fetchone()
        if found is None or found[0] is None:
            return
        first, last = (datetime.fromtimestamp(ms / 1000, UTC).date() for ms in found)
        days = range((last - first).days + 5)
        edges = [self._midnight(first + timedelta(days=day - 2)) for day in days]
        values = ", ".join(f"({a}, {b})" for a, b in pairwise(edges))
        self.database.execute(f"INSERT INTO calendar VALUES {values}")

    def _midnight(self, day: date) -> int:
        return int(datetime.combine(day, time(), self.zone).timestamp()) * 1000

    def _make_alive(self) -> None:
        """Windows that are emitted, and the keys that are alive at the end of each.

        ``first`` is the first pane of the key's island, from which on its windows are warm.
        """
        if self.sign.window.calendar is None:
            regular = f"""
                SELECT unnest(range((lo // {self.hop} + 1) * {self.hop} + {self.size} % {self.hop}
                    - {self.hop}, till + 1, {self.hop})) AS t_end
                FROM span WHERE till IS NOT NULL"""
            start = f"t_end - {self.size}"
        else:
            regular = "SELECT t_end FROM calendar, span WHERE t_end <= till"
            start = "(SELECT c.t_start FROM calendar c WHERE c.t_end = ends.t_end)"
        self._table(
            "span",
            f"""SELECT (SELECT min(pane) FROM taken WHERE on_time) AS lo,
                    (SELECT max(moved) FROM events WHERE family = '{self.sign.topic}') AS till""",
        )
        self._table("ends", f"SELECT t_end FROM windowed UNION ({regular})")
        self._table(
            "islands",
            f"""WITH panes AS (
                    SELECT DISTINCT key_level, key, pane FROM keyed WHERE on_time),
                steps AS (
                    SELECT *, coalesce(pane - (lag(pane) OVER each + {self.pane}) > {self.forget},
                        true) AS begins
                    FROM panes WINDOW each AS (PARTITION BY key_level, key ORDER BY pane)),
                numbered AS (
                    SELECT *, sum(begins::INTEGER) OVER (
                        PARTITION BY key_level, key ORDER BY pane) AS island
                    FROM steps)
                SELECT key_level, key, min(pane) AS first, max(pane) + {self.pane} AS last
                FROM numbered GROUP BY key_level, key, island""",
        )
        self._table(
            "alive",
            f"""SELECT key_level, key, first, {start} AS t_start, ends.t_end
                FROM islands JOIN ends
                ON ends.t_end > first AND ends.t_end <= last + {self.forget}""",
        )

    def _aggregated(self, rows: str) -> str:
        quantile = "NULL::DOUBLE"
        if self.sign.aggregate.function == "quantile":
            # Exact to 64 values; more would be sketched.
            quantile = f"""CASE WHEN count(*) > 64 THEN error('too many values for the oracle')
                ELSE quantile_cont(x::DOUBLE, {self.sign.aggregate.q}) END"""
        return f"""
            SELECT key_level, key, t_start, t_end, count(*) AS n, sum(x) AS sx, sum(y) AS sy,
                sum(x::HUGEINT * x) AS sxx, min(x) AS lo, max(x) AS hi, sum(covered) AS covered,
                count(DISTINCT word) AS words, {quantile} AS quantile, min(pane) AS earliest,
                min(pane) FILTER (NOT on_time) AS earliest_late
            FROM {rows} GROUP BY key_level, key, t_start, t_end"""

    def _make_entries(self) -> None:
        """Results of the base keys and what merges from them: ``rev`` 0 and 1 side by side."""
        keys = "key_level, key, t_start, t_end"
        self._table("plain", self._aggregated("(SELECT * FROM windowed WHERE on_time)"))
        self._table(
            "corrected",
            self._aggregated("windowed") + " HAVING bool_or(NOT on_time)",
        )
        self._table(
            "judged",
            f"""SELECT *, 0 AS rev, {self._warm_from("first")} AS warm FROM alive
                LEFT JOIN plain USING ({keys})
                UNION ALL BY NAME
                SELECT *, 1 AS rev,
                    least({self._warm_from("first")}, earliest_late) AS warm
                FROM corrected LEFT JOIN alive USING ({keys})""",
        )
        coverage, enough = self._coverage()
        value = _VALUES[self.sign.aggregate.function]
        if self.sign.empty == "zero":
            value = f"CASE WHEN n = 0 THEN 0 ELSE {value} END"
        newest = "SELECT key_level, key, arg_max(place, e) AS place FROM taken GROUP BY ALL"
        self._table(
            "entries",
            f"""WITH newest AS ({newest}),
                filled AS (
                    SELECT * REPLACE (coalesce(n, 0) AS n, coalesce(covered, 0) AS covered)
                    FROM judged),
                measured AS (
                    SELECT *, ({value})::DOUBLE * {self.sign.aggregate.scale!r}::DOUBLE AS measure,
                        {coverage} AS coverage
                    FROM filled),
                reasoned AS (
                    SELECT *, CASE
                        WHEN t_start < warm THEN 'warming'
                        WHEN NOT ({enough}) THEN 'uncovered'
                        WHEN measure IS NULL THEN 'undefined' END AS reason
                    FROM measured),
                valued AS (
                    SELECT *, CASE WHEN reason IS NULL THEN measure END AS value FROM reasoned)
                SELECT '{self.sign.id}' AS vital, key_level, key,
                    {self._place_of("newest.place")} AS place, t_start, t_end, rev, value, n,
                    coverage, {level_sql(self.sign.levels)} AS level, reason,
                    NULL::VARCHAR AS child, NULL::INTEGER AS children
                FROM valued LEFT JOIN newest USING (key_level, key)""",
        )

    def _place_of(self, newest: str) -> str:
        places = ", ".join(f"'{level}'" for level in PLACES)
        return f"CASE WHEN key_level IN ({places}) THEN key ELSE {newest} END"

    def _warm_from(self, first: str) -> str:
        return "(SELECT lo FROM span)" if self.sign.empty == "zero" else first

    def _coverage(self) -> tuple[str, str]:
        """Coverage, and whether it is enough."""
        if self.sign.empty == "zero":
            return "1.0::DOUBLE", "true"
        rule = self.sign.coverage
        if rule is None:
            return "(n > 0)::INTEGER::DOUBLE", "n > 0"
        least = f"{rule.at_least!r}::DOUBLE"
        if rule.by == "samples":
            return f"least(1, n / {least})", f"n >= {least}"
        assert rule.by == "time"
        return (
            "least(1, covered::DOUBLE / (t_end - t_start))",
            f"n > 0 AND coverage >= {least}",
        )

    def _make_parents(self) -> None:
        """Functions over the children's values; corrected ones over all children at hand."""
        self._table(
            "children",
            """SELECT *, 0 AS turn FROM entries WHERE rev = 0
               UNION ALL
               SELECT * EXCLUDE (number), 1 AS turn FROM (
                   SELECT *, row_number() OVER (
                       PARTITION BY key_level, key, t_end ORDER BY rev DESC) AS number
                   FROM entries) WHERE number = 1""",
        )
        rollup = self.sign.rollup
        # In a stated order: corrections are compared with first statements to the bit.
        value, child = {
            "max": ("max(value)", "min(key) FILTER (value = most)"),
            "min": ("min(value)", "min(key) FILTER (value = least)"),
            "mean": ("fsum(value ORDER BY key) / count(value)", "NULL::VARCHAR"),
        }[rollup]
        parts = []
        for level in self.levels:
            at = f"at_{level}(place)"
            parts.append(f"""
                SELECT '{level}' AS key_level, {at} AS key, t_start, t_end, turn AS rev,
                    {value} AS value, sum(n) AS n, count(value) / count(*) AS coverage,
                    bool_and(coalesce(reason = 'warming', false)) AS warming,
                    bool_or(rev = 1) AS changed, {child} AS child, count(*) AS children
                FROM (
                    SELECT *, max(value) OVER each AS most, min(value) OVER each AS least
                    FROM children WHERE {at} IS NOT NULL
                    WINDOW each AS (PARTITION BY {at}, t_end, turn))
                GROUP BY ALL""")
        self._table(
            "parents",
            f"""SELECT '{self.sign.id}' AS vital, key_level, key, key AS place, t_start, t_end,
                    rev, value, n, coverage, {level_sql(self.sign.levels)} AS level,
                    CASE WHEN value IS NULL THEN
                        CASE WHEN warming THEN 'warming' ELSE 'uncovered' END END AS reason,
                    child, children
                FROM ({" UNION ALL ".join(parts)}) WHERE rev = 0 OR changed""",
        )
