"""What hotline events say past intake, found by going through the steps of each order anew.

Three things are not computed again here, for their own tests check them: masking, the topic and
place that a masked text names, and the one spelling of a caller.  Callers are told apart by their
names and not by hashes; the hash is asked for where a number of them is estimated from it.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import msgspec

from agents.hotline.callers import CallerKeys, canonical
from agents.hotline.masking import mask
from agents.hotline.orders import OrderStep
from agents.hotline.topics import Places, Topic, Topics
from schemas.configuration import Configuration
from streams.aggregates.distinct import member
from tests.hotline.plain_orders import SHUT, PlainOrders, last_of, place_of, walk
from tests.oracle.rows import insert_rows
from tests.oracle.working_days import WorkingDays

_DAY_MS = 86_400_000
_NEVER = 1 << 62
_READ = (
    *("topic", "part", "pos", "e", "w", "kind", "system", "order_id", "seq", "status"),
    *("t_created", "due", "place", "category", "category_code", "department", "type", "urgency"),
    *("text", "caller", "caller_hash"),
)
_FACTS = {
    "topic": "VARCHAR",
    "part": "INTEGER",
    "pos": "BIGINT",
    "place": "VARCHAR",
    "category": "VARCHAR",
    "category_code": "VARCHAR",
    "flag": "VARCHAR",
    "on_time": "DOUBLE",
    "since_created_s": "DOUBLE",
    "citizen": "VARCHAR",
    "who": "VARCHAR",
    "hashed": "BIGINT",
}
_SPANS = {
    "topic": "VARCHAR",
    "part": "INTEGER",
    "since": "BIGINT",
    "until": "BIGINT",
    "t_created": "BIGINT",
    "due": "BIGINT",
    **dict.fromkeys(("system", "type", "urgency", "place", "category", "department"), "VARCHAR"),
}

_Row = dict[str, Any]
_Name = tuple[str, str]


def load_facts(database: duckdb.DuckDBPyConnection, configuration: Configuration) -> None:
    """Put what is known past intake into ``events``, and make the table ``open_orders``.

    Of ``events``: place, category, category_code, flag, on_time, since_created_s and citizen (who
    is another one in each month) take the place of what stood there; who (the caller) and hashed
    (a 64-bit hash of the citizen's, where the configuration names a secret) are new.

    A row of ``open_orders`` is an order that is open, as it is known, at the hops of its lane after
    ``since`` up to ``until``, int64 ms.
    """
    admitted = database.execute(f"""
        SELECT {", ".join(_READ)} FROM events
        WHERE family = 'hotline' AND bin IN ('accepted', 'filtered')
        ORDER BY topic, part, pos""").fetchall()
    rows = (dict(zip(_READ, row, strict=True)) for row in admitted)
    facts, spans = list[_Row](), list[_Row]()
    for lane, events in groupby(rows, key=lambda row: (row["topic"], row["part"])):
        desk = _Desk(configuration)
        for row in events:
            facts.append(
                {**{name: row[name] for name in ("topic", "part", "pos")}, **desk.read(row)}
            )
        spans += ({"topic": lane[0], "part": lane[1], **span} for span in desk.spans())
    _make(database, "facts", _FACTS, facts)
    _make(database, "open_orders", _SPANS, spans)
    for name in ("who", "hashed"):
        database.execute(f"ALTER TABLE events ADD COLUMN {name} {_FACTS[name]}")
    unlike = database.execute("""
        SELECT count(DISTINCT citizen), count(DISTINCT hashed), count(DISTINCT (citizen, hashed))
        FROM facts WHERE hashed IS NOT NULL""").fetchone()
    assert unlike is not None
    assert len(set(unlike)) == 1, f"citizens and their hashes do not belong one to one: {unlike}"
    told = ", ".join(f"{name} = facts.{name}" for name in list(_FACTS)[3:])
    database.execute(f"""
        UPDATE events SET {told} FROM facts
        WHERE (events.topic, events.part, events.pos) = (facts.topic, facts.part, facts.pos)""")


def _make(
    database: duckdb.DuckDBPyConnection, table: str, columns: dict[str, str], rows: list[_Row]
) -> None:
    described = ", ".join(f"{name} {kind}" for name, kind in columns.items())
    database.execute(f"CREATE TABLE {table} ({described})")
    names = list(columns)
    insert_rows(database, table, names, ([row.get(name) for name in names] for row in rows))


class _Desk:
    """One lane: events in the order of the log, each with the watermark before it."""

    def __init__(self, configuration: Configuration) -> None:
        hotline, rules = configuration.hotline, configuration.orders
        zone, calendar = configuration.city.time_zone, configuration.calendar
        self.zone = ZoneInfo(zone)
        self.topics = Topics([Topic(t.name, t.code, tuple(t.keywords)) for t in hotline.topics])
        self.places = Places(hotline.places)
        self.orders = PlainOrders(
            {limit.type: limit.working_days for limit in rules.due},
            WorkingDays(zone, calendar.holidays, calendar.workdays),  # type: ignore[arg-type]
            rules.forget_closed_days * _DAY_MS,
            rules.forget_open_days * _DAY_MS,
        )
        self.keys: CallerKeys | None = None
        if hotline.caller_key_file is not None:
            secret = Path(hotline.caller_key_file).read_bytes().strip()
            self.keys = CallerKeys(secret, zone)
        self._lives: dict[_Name, list[tuple[int, OrderStep]]] = {}
        self._spans = list[_Row]()

    def read(self, row: _Row) -> _Row:
        """What an event says."""
        fact = {"place": row["place"], "category": None, "category_code": row["category_code"]}
        if row["category"] is not None:
            fact["category"] = msgspec.json.decode(row["category"])[-1]
        if row["text"]:
            self._read_text(fact, mask(row["text"]))
        fact |= self._caller(row)
        if row["kind"] == "order":
            fact |= self._take(row, fact)
        return fact

    def _read_text(self, fact: _Row, masked: str) -> None:
        if fact["category"] is None and (topic := self.topics.find(masked)) is not None:
            fact["category"], fact["category_code"] = topic.name, topic.code
        if len(fact["place"]) < 9:
            fact["place"] = self.places.find(masked, fact["place"]) or fact["place"]

    def _caller(self, row: _Row) -> _Row:
        who = None
        if row["caller"] is not None:
            name = canonical(row["caller"])
            who = None if name is None else f"caller {name}"
        elif row["caller_hash"] is not None and row["caller_hash"].strip():
            who = f"source {row['caller_hash'].strip()}"
        if who is None:
            return {}
        month = datetime.fromtimestamp(row["e"] / 1000, self.zone).strftime("%Y-%m")
        return {"who": who, "citizen": f"{month} {who}", "hashed": self._hashed(row)}

    def _hashed(self, row: _Row) -> int | None:
        if self.keys is None:
            return None
        if row["caller"] is not None:
            keyed = self.keys.hash(row["caller"], row["e"])
        else:
            keyed = self.keys.hash_source(row["caller_hash"], row["e"])
        return None if keyed is None else member(keyed)

    def _take(self, row: _Row, fact: _Row) -> _Row:
        name = (row["system"], row["order_id"])
        watermark = -_NEVER if row["w"] is None else row["w"]
        known = self.orders.steps.get(name)
        if known is not None and self.orders.end_of(known) <= watermark:
            self._bury(name)
        step = OrderStep(
            order_id=row["order_id"],
            system=row["system"],
            seq=row["seq"],
            status=row["status"],
            t=row["e"],
            t_created=row["t_created"],
            due=row["due"],
            place=fact["place"],
            category=fact["category"],
            department=row["department"],
            type=row["type"],
            urgency=row["urgency"],
        )
        flag, _, on_time = self.orders.take(step)
        life = self._lives.setdefault(name, [])
        if len(self.orders.steps[name]) > len(life):
            # The hops up to the watermark were sampled without it.
            life.append((max(step.t, watermark), step))
        since = (step.t - step.t_created) / 1000
        return {"flag": flag or "none", "on_time": on_time, "since_created_s": since}

    def spans(self) -> list[_Row]:
        """The spans of all orders, when the log has ended."""
        for name in sorted(self._lives):
            self._bury(name)
        return self._spans

    def _bury(self, name: _Name) -> None:
        life, every = self._lives.pop(name), self.orders.steps.pop(name)
        self._spans += self._open(name[0], life, every)

    def _open(
        self, system: str, life: list[tuple[int, OrderStep]], every: list[OrderStep]
    ) -> Iterator[_Row]:
        changes = sorted({since for since, _ in life})
        for since, until in pairwise([*changes, _NEVER]):
            steps = [step for seen, step in life if seen <= since]
            status, moved = walk(steps)
            if status in SHUT:
                continue
            yield {
                "since": since,
                "until": min(until, self.orders.end_of(steps) - 1),
                "t_created": every[0].t_created,
                "due": self.orders.due_of(every, moved),
                "system": system,
                "type": last_of(moved, "type"),
                "urgency": max(
                    (step.urgency for step in moved), key=("normal", "urgent", "critical").index
                ),
                "place": place_of(moved),
                "category": last_of(moved, "category"),
                "department": last_of(moved, "department"),
            }
