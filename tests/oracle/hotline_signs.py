"""Signs of the hotline: keys with a dimension, histories, open orders, due times, flags.

Each kind of sign makes rows of its own, ``taken``; from there on windows are listed for each row,
and what is said of them is one rule.
"""

from __future__ import annotations

from math import gcd, log

import duckdb

from schemas.configuration import Configuration
from schemas.signs import HistorySign, SampledSign, Sign, WindowSign
from schemas.words import Matched, split_level
from tests.oracle.events import needed, taking
from tests.oracle.results import add_results, level_sql

_EXACT = 64
"""Values that a sketch keeps as they are."""

_GAMMA = (1 + 0.01) / (1 - 0.01)
_PRECISION = 12
_KEYS = "key_level, key, t_start, t_end"


def compute_hotline(
    database: duckdb.DuckDBPyConnection, configuration: Configuration, sign: Sign
) -> None:
    """Add the results of a sign of the hotline or of its open orders to ``expected``."""
    if isinstance(sign, HistorySign):
        _History(database, configuration, sign).compute()
    elif isinstance(sign, SampledSign):
        _Sampled(database, configuration, sign).compute()
    else:
        assert isinstance(sign, WindowSign)
        _Steps(database, configuration, sign).compute()


class _Steps:
    """A window sign over steps of orders."""

    def __init__(
        self,
        database: duckdb.DuckDBPyConnection,
        configuration: Configuration,
        sign: WindowSign | SampledSign | HistorySign,
    ) -> None:
        assert sign.window.size_s is not None
        assert sign.window.hop_s is not None
        self.database, self.sign = database, sign
        self.size, self.hop = round(sign.window.size_s * 1000), round(sign.window.hop_s * 1000)
        self.pane = gcd(self.size, self.hop)
        forget_s = sign.forget_s if isinstance(sign, WindowSign) else None
        self.forget = round((configuration.forget_s if forget_s is None else forget_s) * 1000)
        self.dimension = next((d for key in sign.keys if (d := split_level(key)[0])), None)

    def compute(self) -> None:
        """Add the sign's results to ``expected``."""
        self._make_taken()
        self._make_keyed()
        self._judge()
        self._make_alive()
        self._make_groups()
        self._make_entries()
        add_results(self.database, "entries", "true")

    def _table(self, name: str, query: str) -> None:
        self.database.execute(f"CREATE OR REPLACE TEMP TABLE {name} AS {query}")

    def _make_taken(self) -> None:
        """Rows with time, pane, whether on time, place and value in millionths."""
        assert isinstance(self.sign, WindowSign)
        reads = needed(self.sign)
        distinct = self.sign.aggregate.function == "distinct"
        x = f"micro({reads[0]})" if reads and not distinct else "0::BIGINT"
        self._take(
            f"""SELECT topic, part, pos, e, w, place AS spot, {self._divided()} AS divided,
                {x} AS x, citizen AS word, hashed
                FROM events WHERE bin = 'accepted' AND {taking(self.sign)}"""
        )

    def _divided(self) -> str:
        return "NULL::VARCHAR" if self.dimension is None else self.dimension

    def _take(self, query: str) -> None:
        pane = f"e // {self.pane} * {self.pane}"
        base = self.sign.base
        self._table(
            "taken",
            f"""SELECT *, {pane} AS pane, coalesce({pane} + {self.pane} > w, true) AS on_time,
                coalesce(at_{base}(spot), spot) AS place, row_number() OVER () AS id
                FROM ({query})""",
        )

    def _make_keyed(self) -> None:
        """A row for each of the sign's keys that it counts for."""
        parts = []
        for level in self.sign.keys:
            dimension, at = split_level(level)
            key = f"at_{at}(place)"
            wanted = f"{key} IS NOT NULL"
            if dimension is not None:
                wanted += " AND divided IS NOT NULL"
            name = key if dimension is None else f"divided || '*' || {key}"
            parts.append(
                f"""SELECT * REPLACE ({key} AS place), '{level}' AS key_level, {name} AS key
                FROM taken WHERE {wanted}"""
            )
        self._table("keyed", " UNION ALL ".join(parts))

    def _judge(self) -> None:
        """Change rows by the key they stand at."""

    def _make_alive(self) -> None:
        """The keys that are known at each end, and from when on their windows are warm."""
        first = f"((e - {self.size}) // {self.hop} + 1) * {self.hop}"
        starts = f"unnest(range({first}, e + 1, {self.hop})) AS t_start"
        self._table(
            "windowed",
            f"SELECT *, t_start + {self.size} AS t_end FROM (SELECT *, {starts} FROM keyed)",
        )
        self._table(
            "span",
            """SELECT (SELECT min(pane) FROM taken WHERE on_time) AS lo,
                    (SELECT max(moved) FROM events WHERE family = 'hotline') AS till""",
        )
        # Of a time that no record reached, the windows that hold data.
        self._table(
            "ends",
            f"""SELECT t_start + {self.size} AS t_end
                FROM (SELECT DISTINCT {starts} FROM taken)
                UNION
                SELECT unnest(range(lo // {self.hop} * {self.hop} + {self.size} % {self.hop},
                    till + 1, {self.hop})) FROM span WHERE till IS NOT NULL""",
        )
        self._table(
            "islands",
            f"""WITH panes AS (
                    SELECT DISTINCT key_level, key, place, pane FROM keyed WHERE on_time),
                steps AS (
                    SELECT *, coalesce(pane - (lag(pane) OVER each + {self.pane}) > {self.forget},
                        true) AS begins
                    FROM panes WINDOW each AS (PARTITION BY key_level, key ORDER BY pane)),
                numbered AS (
                    SELECT *, sum(begins::INTEGER) OVER (
                        PARTITION BY key_level, key ORDER BY pane) AS island
                    FROM steps)
                SELECT key_level, key, place, min(pane) AS first, max(pane) + {self.pane} AS last
                FROM numbered GROUP BY key_level, key, place, island""",
        )
        self._table(
            "alive",
            f"""SELECT key_level, key, place, first, t_end - {self.size} AS t_start, t_end
                FROM islands JOIN ends ON t_end > first AND t_end <= last + {self.forget}""",
        )

    def _make_groups(self) -> None:
        """Values of the rows of each key and window: those on time, and all where some are late."""
        values = f"""
            SELECT {_KEYS}, any_value(place) AS place, count(*) AS n, sum(x) AS sx,
                count(DISTINCT word) AS words, list(DISTINCT hashed) AS members,
                list_sort(list(x)) AS xs, min(pane) FILTER (NOT on_time) AS earliest_late"""
        self._table("plain", f"{values} FROM windowed WHERE on_time GROUP BY {_KEYS}")
        self._table(
            "corrected", f"{values} FROM windowed GROUP BY {_KEYS} HAVING bool_or(NOT on_time)"
        )

    def _make_entries(self) -> None:
        """What is said: ``rev`` 0 and 1 side by side."""
        zero = self.sign.empty == "zero"
        warm = "(SELECT lo FROM span)" if zero else "first"
        value = f"({self._value()})::DOUBLE"
        if zero:
            value = f"CASE WHEN n = 0 THEN 0 ELSE {value} END"
        coverage, enough = self._coverage()
        self._estimate()
        self._table(
            "entries",
            f"""WITH judged AS (
                    SELECT *, 0 AS rev, {warm} AS warm
                    FROM alive LEFT JOIN (SELECT * EXCLUDE (place) FROM plain) USING ({_KEYS})
                    UNION ALL BY NAME
                    SELECT *, 1 AS rev, least({warm}, earliest_late) AS warm
                    FROM corrected LEFT JOIN (SELECT * EXCLUDE (place) FROM alive) USING ({_KEYS})),
                measured AS (
                    SELECT * REPLACE (coalesce(n, 0) AS n), {value} AS measure
                    FROM (SELECT * REPLACE (coalesce(n, 0) AS n) FROM judged)
                    LEFT JOIN estimates USING ({_KEYS}, rev)),
                reasoned AS (
                    SELECT *, {coverage} AS coverage, CASE
                        WHEN t_start < warm THEN 'warming'
                        WHEN NOT ({enough}) THEN 'uncovered'
                        WHEN measure IS NULL THEN 'undefined' END AS reason
                    FROM measured),
                valued AS (
                    SELECT *, CASE WHEN reason IS NULL THEN measure END AS value FROM reasoned)
                SELECT '{self.sign.id}' AS vital, key_level, key, place, t_start, t_end, rev,
                    value, n, coverage, {level_sql(self.sign.levels)} AS level, reason,
                    NULL::VARCHAR AS child, NULL::INTEGER AS children
                FROM valued""",
        )

    def _value(self) -> str:
        aggregate = self.sign.aggregate
        values = {
            "count": "n",
            "mean": "sx / 1e6::DOUBLE / n",
            "distinct": f"CASE WHEN words > {_EXACT} THEN estimate ELSE words END",
        }
        return f"{values[aggregate.function]} * {aggregate.scale!r}::DOUBLE"

    def _coverage(self) -> tuple[str, str]:
        """Coverage, and whether it is enough."""
        if self.sign.empty == "zero":
            return "1.0::DOUBLE", "true"
        rule = None if isinstance(self.sign, SampledSign) else self.sign.coverage
        if rule is None:
            return "(n > 0)::INTEGER::DOUBLE", "n > 0"
        assert rule.by == "samples"
        least = f"{rule.at_least!r}::DOUBLE"
        return f"least(1, n / {least})", f"n >= {least}"

    def _estimate(self) -> None:
        """Numbers of callers that are too many to be counted one by one."""
        self._table(
            "estimates",
            """SELECT key_level, key, t_start, t_end, 0 AS rev, 0::BIGINT AS estimate
               FROM plain WHERE false""",
        )
        if self.sign.aggregate.function != "distinct":
            return
        for rev, table in enumerate(("plain", "corrected")):
            many = self.database.execute(
                f"SELECT {_KEYS}, words, members FROM {table} WHERE words > {_EXACT}"
            ).fetchall()
            for *name, words, members in many:
                if len(members) != words:
                    raise AssertionError("callers were not hashed: name the configuration's secret")
                self.database.execute(
                    "INSERT INTO estimates VALUES (?, ?, ?, ?, ?, ?)",
                    [*name, rev, distinct_estimate(members)],
                )


def distinct_estimate(members: list[int]) -> int:
    """HyperLogLog with 4,096 registers, and linear counting where many of them are zero.

    Flajolet, Fusy, Gandouet, Meunier (2007), figure 3, without its correction for 32 bits.
    """
    registers = [0] * (1 << _PRECISION)
    for signed in members:
        bits = f"{signed % (1 << 64):064b}"
        index, rest = int(bits[:_PRECISION], 2), bits[_PRECISION:]
        registers[index] = max(registers[index], len(rest) - len(rest.lstrip("0")) + 1)
    m = len(registers)
    raw = 0.7213 / (1 + 1.079 / m) * m * m / sum(2.0**-rank for rank in registers)
    zeros = registers.count(0)
    return round(m * log(m / zeros) if raw <= 2.5 * m and zeros else raw)


class _Sampled(_Steps):
    """A sign of the orders that are open at each hop, as they are known there."""

    def _make_taken(self) -> None:
        assert isinstance(self.sign, SampledSign)
        aggregate, wanted = self.sign.aggregate, ["true"]
        for field, value in self.sign.match.items():
            wanted.append(
                _meets("due IS NOT NULL AND due <= hop", value)
                if field == "past_due"
                else _meets(field, value)
            )
        x = "0::BIGINT"
        if aggregate.of == "age_h":
            x = "micro(greatest(0, hop - t_created) / 3600000::DOUBLE)"
        # A lane samples what its watermark passes and, at the end of the log, the hop after its
        # last step.
        self._take(
            f"""WITH lanes AS (
                    SELECT topic, part, greatest(max(moved) // {self.hop} * {self.hop},
                        max(e) FILTER (kind = 'order' AND bin IN ('accepted', 'filtered'))
                            // {self.hop} * {self.hop} + {self.hop}) AS till
                    FROM events WHERE family = 'hotline' GROUP BY topic, part),
                hops AS (
                    SELECT spans.*, unnest(range((since // {self.hop} + 1) * {self.hop},
                        least(until, till) + 1, {self.hop})) AS hop
                    FROM spans JOIN lanes USING (topic, part))
                SELECT hop - 1 AS e, NULL::BIGINT AS w, place AS spot,
                    {self._divided()} AS divided, {x} AS x, NULL::VARCHAR AS word,
                    NULL::BIGINT AS hashed
                FROM hops WHERE {" AND ".join(wanted)}"""
        )

    def _value(self) -> str:
        aggregate = self.sign.aggregate
        if aggregate.function == "count":
            return f"n * {aggregate.scale!r}::DOUBLE"
        assert aggregate.function == "quantile"
        rank = f"({aggregate.q!r}::DOUBLE * (n - 1))"
        low = f"xs[floor({rank})::BIGINT + 1]"
        high = f"xs[least(floor({rank})::BIGINT + 2, n)]"
        # Masson, Rim, Lee (2019): the middle of the bucket, 1 % from its ends at most.
        bucket = f"ceil(ln({low}) / {log(_GAMMA)!r}::DOUBLE)"
        middle = f"2 * {_GAMMA!r}::DOUBLE ** {bucket} / {_GAMMA + 1!r}::DOUBLE"
        between = f"{low} + ({high} - {low}) * ({rank} - floor({rank}))"
        sketched = f"CASE WHEN {low} = 0 THEN 0 ELSE {middle} END"
        value = f"CASE WHEN n <= {_EXACT} THEN {between} ELSE {sketched} END"
        return f"({value}) / 1e6::DOUBLE * {aggregate.scale!r}::DOUBLE"


class _History(_Steps):
    """The share of events that repeat an earlier one at the same key.

    What comes late counts at the lane's watermark when it comes.
    """

    def _make_taken(self) -> None:
        assert isinstance(self.sign, HistorySign)
        conditions = [_meets(field, value) for field, value in self.sign.match.items()]
        same = (" || chr(31) || ".join(map(_column, names)) for names in self.sign.repeats.of)
        identities = ", ".join(f"{expression} AS same_{i}" for i, expression in enumerate(same))
        self._take(
            f"""SELECT topic, part, pos, greatest(e, coalesce(w, e)) AS e, w, place AS spot,
                {self._divided()} AS divided, NULL::VARCHAR AS word, NULL::BIGINT AS hashed,
                {identities}, 0::BIGINT AS x
                FROM events WHERE bin = 'accepted' AND family = 'hotline'
                    AND {" AND ".join(conditions)}"""
        )

    def _judge(self) -> None:
        assert isinstance(self.sign, HistorySign)
        within = round(self.sign.repeats.within_s * 1000)
        lists = range(len(self.sign.repeats.of))
        repeated = " OR ".join(
            f"""coalesce(same_{i} IS NOT NULL AND e - lag(e) OVER (
                PARTITION BY key_level, key, same_{i} ORDER BY e, topic, part, pos) <= {within},
                false)"""
            for i in lists
        )
        self._table("keyed", f"SELECT * REPLACE (({repeated})::BIGINT AS x) FROM keyed")

    def _value(self) -> str:
        return "sx / n * 100::DOUBLE"


def _column(field: str) -> str:
    return "who" if field == "citizen" else f'"{field}"'


def _meets(expression: str, value: Matched) -> str:
    values = value if isinstance(value, list) else [value]
    literals = ", ".join(str(v).lower() if isinstance(v, bool) else f"'{v}'" for v in values)
    return f"({expression}) IN ({literals})"
