"""Signs over the events of a window, computed in SQL."""

from __future__ import annotations

from math import gcd
from zoneinfo import ZoneInfo

import duckdb

from schemas.configuration import Configuration
from schemas.signs import SampledSign, Sign, WindowSign
from tests.oracle.aggregates import aggregated, measures, value_sql
from tests.oracle.closing import calendar_windows, closing_of, lengths, values_of
from tests.oracle.events import matching, taking
from tests.oracle.expected_keys import AFTER_ALL, expected_at, make_expected_keys
from tests.oracle.places import PLACES, base_sql, dimension_of, keys_sql
from tests.oracle.results import add_results, level_sql, mark_told
from tests.oracle.roll_ups import make_parents
from tests.oracle.signs import lateness_of


def compute_window(
    database: duckdb.DuckDBPyConnection,
    configuration: Configuration,
    sign: Sign,
    source: str | None = None,
) -> None:
    """Add the results of a window sign to ``expected``.

    Parameters
    ----------
    source
        The table of the sign's events, with the columns of ``events``; its own stream's if not
        given.
    """
    assert isinstance(sign, WindowSign)
    source = source or ("arrivals" if sign.topic == "arrivals" else "events")
    folding = Folding(database, configuration, sign)
    x, y, word, covered = measures(sign)
    folding.table(
        "taken",
        f"""SELECT e, e // {folding.pane} * {folding.pane} AS pane,
                coalesce(e // {folding.pane} * {folding.pane} + {folding.pane} > w, true)
                    AS on_time, place, {x} AS x, {y} AS y, {word} AS word, {covered} AS covered,
                1 AS c, e AS seen, {folding.based}
            FROM {source} WHERE bin = 'accepted' AND {taking(sign)}""",
    )
    folding.compute()


class Folding:
    """From rows to results: by keys, windows, and what is alive at their ends.

    Parameters
    ----------
    sign
        Whose rows stand in the table ``taken``: e (event time), pane (its start), on_time, place,
        x and y (numbers), word, covered (ms), c (how many it stands for), seen (time of the
        place), base_level, base_key and divided (value of the dimension).
    """

    def __init__(
        self,
        database: duckdb.DuckDBPyConnection,
        configuration: Configuration,
        sign: WindowSign | SampledSign,
    ) -> None:
        self.database, self.sign = database, sign
        self.zone = ZoneInfo(configuration.city.time_zone)
        forget_s = getattr(sign, "forget_s", None) or configuration.forget_s
        self.forget = round(forget_s * 1000)
        self.lateness = lateness_of(configuration, sign)
        self.closing = closing_of(database, configuration, sign)
        self.pane = 3_600_000
        if sign.window.calendar is None:
            self.size, self.hop = lengths(sign.window)
            self.pane = gcd(self.size, self.hop)
        self.rollup: str = sign.rollup
        sender = "source_id" if sign.topic == "traffic" else "device"
        level, key = base_sql(sign.base, sender)
        dimension = dimension_of(sign.keys)
        divided = "NULL::VARCHAR" if dimension is None else f'"{dimension}"'
        self.based = f"{level} AS base_level, {key} AS base_key, {divided} AS divided"

    def compute(self) -> None:
        """Add the sign's results to ``expected``."""
        keys = self.sign.keys
        self.table("keyed", keys_sql(keys, self.rollup, "taken"))
        make_expected_keys(self.database, self.sign, matching(self.sign))
        self._make_windowed()
        self._make_ends()
        self._make_speaking()
        self._make_entries()
        wanted = ", ".join(f"'{key}'" for key in keys)
        add_results(self.database, "entries", f"key_level IN ({wanted})")
        if self.rollup not in ("merge", "none") and PLACES.keys() & set(keys):
            make_parents(self.database, self.sign.id, keys, self.rollup, self.sign.levels)
            add_results(self.database, "parents", "true")

    def table(self, name: str, query: str) -> None:
        """Make a table that lasts until it is made again."""
        self.database.execute(f"CREATE OR REPLACE TEMP TABLE {name} AS {query}")

    def _make_windowed(self) -> None:
        """Every row once for each window it lies in."""
        if self.sign.window.calendar is None:
            first = f"((e - {self.size}) // {self.hop} + 1) * {self.hop}"
            starts = f"unnest(range({first}, e + 1, {self.hop})) AS t_start"
            self.table(
                "windowed",
                f"SELECT *, t_start + {self.size} AS t_end FROM (SELECT *, {starts} FROM keyed)",
            )
            return
        self.table("calendar", "SELECT 0::BIGINT AS t_start, 0::BIGINT AS t_end WHERE false")
        found = self.database.execute("SELECT min(e), max(e) FROM taken").fetchone()
        if found is not None and found[0] is not None:
            last = max(found[1], self.closing.mark or 0)
            windows = calendar_windows(self.sign.window.calendar, self.zone, found[0], last)
            self.database.execute(f"INSERT INTO calendar VALUES {values_of(windows)}")
        self.table(
            "windowed",
            "SELECT keyed.*, t_start, t_end FROM keyed JOIN calendar ON e >= t_start AND e < t_end",
        )

    def _make_ends(self) -> None:
        """Windows in question; ``closes`` where the first statement about them is made.

        That is from the first pane on, as far as records brought the lanes, and beyond as long as
        windows may hold data; corrections come wherever late rows are.
        """
        reached, mark = (-AFTER_ALL if at is None else at for at in self.closing)
        self.table(
            "span",
            """SELECT min(pane) AS lo, max(pane) FILTER (c > 0 AND seen >= pane) AS newest
               FROM taken WHERE on_time""",
        )
        windows = "SELECT t_start, t_end FROM calendar WHERE t_end > lo"
        if self.sign.window.calendar is None:
            first = f"(lo - {self.size}) // {self.hop} * {self.hop} + {self.hop}"
            last = f"greatest(newest, {reached}) + {self.hop}"
            windows = (
                f"SELECT t_start, t_start + {self.size} AS t_end "
                f"FROM (SELECT unnest(range({first}, {last}, {self.hop})) AS t_start)"
            )
        self.table(
            "ends",
            f"""SELECT t_start, t_end, bool_or(closes) AS closes FROM (
                    SELECT DISTINCT t_start, t_end, false AS closes FROM windowed WHERE NOT on_time
                    UNION ALL
                    SELECT w.*, (w.t_end <= {reached} OR w.t_start <= newest) AND w.t_end <= {mark}
                    FROM span, LATERAL ({windows}) w WHERE lo IS NOT NULL)
                GROUP BY ALL""",
        )

    def _make_speaking(self) -> None:
        """Keys that are alive or registered at the end of each window.

        ``first`` is the pane from which on windows of the key are warm: the first one of its
        island, that is since it was silent for as long as keys are remembered.
        """
        self.table("islands", self._islands("key_level, key"))
        # Keys of the register are missed while any other key is heard, not in a silence of all.
        self.table("stretches", self._islands("'' AS sign"))
        # Where no event means zero, a key without one was observed as long as any other.
        first = "(SELECT lo FROM span)" if self.sign.empty == "zero" else "first"
        self.table(
            "alive",
            f"""SELECT key_level, key, {first} AS first, t_end
                FROM islands JOIN ends
                ON t_end > islands.first AND t_end <= last + {self.forget}""",
        )
        reaching = f"t_end > first AND t_end <= last + {self.forget}"
        self.table("expecting", expected_at(f"(FROM ends SEMI JOIN stretches ON {reaching})"))
        self.table(
            "places",
            """SELECT key_level, key, pane, arg_max(place, (seen, place)) AS place
               FROM keyed WHERE on_time GROUP BY ALL""",
        )
        unseen = f"greatest(coalesce((SELECT lo FROM span), {AFTER_ALL}), since)"
        self.table(
            "speaking",
            f"""SELECT s.*, t_start, closes, coalesce(first, {unseen}) AS warm_from,
                    coalesce(p.place, stands) AS place
                FROM (SELECT * FROM alive FULL JOIN expecting USING (key_level, key, t_end)) s
                JOIN ends USING (t_end)
                ASOF LEFT JOIN places p
                ON s.key_level = p.key_level AND s.key = p.key AND s.t_end > p.pane""",
        )

    def _islands(self, keys: str) -> str:
        """Stretches in which there was never silence for as long as keys are remembered."""
        names = keys.rpartition(" AS ")[2]
        each = f"PARTITION BY {names} ORDER BY pane"
        return f"""
            WITH panes AS (SELECT DISTINCT {keys}, pane FROM keyed WHERE on_time),
            steps AS (
                SELECT *, coalesce(pane - (lag(pane) OVER each + {self.pane}) > {self.forget},
                    true) AS begins
                FROM panes WINDOW each AS ({each})),
            numbered AS (SELECT *, sum(begins::INTEGER) OVER ({each}) AS island FROM steps)
            SELECT {names}, min(pane) AS first, max(pane) + {self.pane} AS last
            FROM numbered GROUP BY {names}, island"""

    def _make_entries(self) -> None:
        """Results of the base keys and what merges from them: ``rev`` 0 and 1 side by side."""
        keys = "key_level, key, t_start, t_end"
        mark = -AFTER_ALL if self.closing.mark is None else self.closing.mark
        sign = self.sign
        self.table("plain", aggregated(sign, "(SELECT * FROM windowed WHERE on_time)"))
        self.table("corrected", aggregated(sign, "windowed") + " HAVING bool_or(NOT on_time)")
        observed = "(SELECT lo FROM span)" if sign.empty == "zero" else "NULL"
        self.table(
            "judged",
            f"""SELECT * EXCLUDE (seen_at), 0 AS rev, warm_from AS warm
                FROM speaking LEFT JOIN plain USING ({keys})
                UNION ALL BY NAME
                SELECT * EXCLUDE (seen_at) REPLACE (seen_at AS place, true AS closes), 1 AS rev,
                    least(warm_from, {observed}, earliest_late) AS warm
                FROM corrected LEFT JOIN speaking USING ({keys})
                WHERE t_end + {self.lateness} <= {mark}""",
        )
        coverage, enough = self._coverage()
        limit = getattr(sign, "limit", None)
        bounded = "measure"
        if limit is not None:
            how = {
                "ratio": "measure / lim",
                "excess": "(measure - lim)",
                "deviation": "abs(measure - lim) / lim",
            }[limit.how]
            bounded = f"{how} * {limit.scale!r}::DOUBLE"
        known = "NULL"
        if sign.kind == "sampled":
            # Where devices are registered, those that were heard once do not count besides.
            known = "CASE WHEN devices > 0 THEN greatest(devices, coalesce(n, 0)) END"
        self.table(
            "unmarked",
            f"""WITH filled AS (
                    SELECT * REPLACE (coalesce(n, 0) AS n,
                        coalesce({known}, covered, 0) AS covered)
                    FROM judged),
                measured AS (
                    SELECT *, {value_sql(sign)} AS measure, {coverage} AS coverage
                    FROM filled),
                reasoned AS (
                    SELECT *, CASE
                        WHEN t_start < warm THEN 'warming'
                        WHEN NOT ({enough}) THEN 'uncovered'
                        WHEN {str(limit is not None).lower()} AND lim IS NULL THEN 'no_limit'
                        WHEN measure IS NULL THEN 'undefined' END AS reason
                    FROM measured),
                valued AS (
                    SELECT *, CASE WHEN reason IS NULL THEN {bounded} END AS value FROM reasoned)
                SELECT '{sign.id}' AS vital, key_level, key, place, t_start, t_end, rev, value, n,
                    coverage, {level_sql(sign.levels)} AS level, reason, closes
                FROM valued""",
        )
        mark_told(self.database, "unmarked", "entries")

    def _coverage(self) -> tuple[str, str]:
        """Coverage, and whether it is enough."""
        rule = self.sign.coverage
        if rule is None:
            if self.sign.empty == "zero":
                return "1.0::DOUBLE", "true"
            if self.sign.kind == "sampled":
                share = "CASE WHEN covered > 0 THEN n / covered ELSE 0 END"
                # Of devices that are silent it is known how many are online: none.
                online = self.sign.aggregate.function == "online"
                return share, "n > 0 OR covered > 0" if online else "n > 0"
            return "(n > 0)::INTEGER::DOUBLE", "n > 0"
        least = f"{rule.at_least!r}::DOUBLE"
        if rule.by == "samples":
            return f"least(1, n / {least})", f"n >= {least}"
        if rule.by == "devices":
            share = "CASE WHEN covered > 0 THEN n / covered ELSE 0 END"
            return share, f"n > 0 AND coverage >= {least}"
        return (
            "least(1, covered::DOUBLE / (t_end - t_start))",
            f"n > 0 AND coverage >= {least}",
        )
