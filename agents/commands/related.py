"""Tables of relations on the command line: taken in, and compared."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from agents.commands.exits import complain, writing
from agents.commands.wording import printable

if TYPE_CHECKING:
    from schemas.related import Difference, Relation

TABLE = Path("relations.csv")


def import_table(source: Path, into: Path, *, replace: bool, as_json: bool) -> None:
    """Merge a table into another one, and tell of it.

    Raises
    ------
    RegisterError
        With every fault of either at its line and column; nothing is written then.
    """
    from schemas.registers import read_relations, save_relations
    from schemas.related import Relations, diff, merge

    given = read_relations(source)
    old = read_relations(into) if into.exists() else Relations()
    new = given if replace else merge(old, given)
    with writing(into):
        save_relations(new, into)
    found = diff(old, new)
    counts = {
        "added": len(found.added),
        "changed": len(found.changed),
        "removed": len(found.removed),
        "unchanged": found.unchanged,
    }
    relations = dict(sorted(Counter(row.relation for row in new.rows).items()))
    if as_json:
        said: dict[str, Any] = {"into": str(into), "digest": new.digest, **counts}
        print(orjson.dumps({**said, "rows": len(new), "relations": relations}).decode())
        return
    told = ", ".join(f"{count:,} {name}" for name, count in counts.items())
    print(f"{into}: {told}; {len(new):,} rows, relations {new.digest}")
    for name, count in relations.items():
        print(f"{count:9,} {name}")


def diff_tables(old: Path, new: Path, *, as_json: bool) -> bool:
    """Tell what two tables have otherwise; whether they are equal.

    Raises
    ------
    RegisterError
        With every fault at its line and column.
    """
    from schemas.registers import read_relations
    from schemas.related import diff

    found = diff(read_relations(old), read_relations(new))
    for line in _difference_lines(found, as_json=as_json):
        print(line)
    if found.empty and not as_json:
        complain(f"equal: {found.unchanged:,} rows")
    return found.empty


def _difference_lines(found: Difference, *, as_json: bool) -> Iterator[str]:
    from schemas.related import fields_changed

    rows: list[tuple[str, Relation, dict[str, tuple[Any, Any]]]]
    rows = [("added", row, {}) for row in found.added]
    rows += [("removed", row, {}) for row in found.removed]
    rows += [("changed", new, fields_changed(old, new)) for old, new in found.changed]
    for change, row, fields in sorted(rows, key=lambda each: (*each[1][:3], each[1].since)):
        if as_json:
            told: dict[str, Any] = {"change": change, **row._asdict()}
            told["from"] = told.pop("origin")
            if fields:
                told["fields"] = {name: list(pair) for name, pair in fields.items()}
            yield orjson.dumps(told).decode()
            continue
        mark = {"added": "+", "removed": "-", "changed": "~"}[change]
        named = " ".join(part for part in (row.relation, row.origin, row.to) if part)
        pairs = (f"{n}: {_shown(n, a)} -> {_shown(n, b)}" for n, (a, b) in fields.items())
        yield " ".join(part for part in (mark, printable(named), ", ".join(pairs)) if part)


def _shown(name: str, value: Any) -> str:
    """The value of a column, as the file has it; a dash for none."""
    from schemas.devices import written_time

    if value is None:
        return "–"
    return written_time(value) if name == "until" else f"{value:.7g}"
