"""Many rows into a table of the oracle's database."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
import msgspec


def insert_rows(
    database: duckdb.DuckDBPyConnection,
    table: str,
    columns: Sequence[str],
    rows: Iterable[Sequence[Any]],
) -> None:
    """Add rows to a table, by the names of their columns."""
    described = database.execute(f"DESCRIBE {table}").fetchall()
    kinds = {name: kind for name, kind, *_ in described}
    shape = ", ".join(f"'{name}': '{kinds[name]}'" for name in columns)
    encode = msgspec.json.Encoder().encode
    with TemporaryDirectory() as folder:
        path = Path(folder) / "rows.ndjson"
        with path.open("wb") as file:
            for row in rows:
                file.write(encode(dict(zip(columns, row, strict=True))) + b"\n")
        if path.stat().st_size:
            database.execute(
                f"INSERT INTO {table} BY NAME SELECT * FROM read_json("
                f"'{path}', format = 'newline_delimited', columns = {{{shape}}})"
            )
