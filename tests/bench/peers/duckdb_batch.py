"""DuckDB over the file: a batch reference, not streaming. Results go to a CSV file.

The rule of lateness needs the order of the file, which costs a sort: events that came too late are
left in, so windows that hold some differ.
"""

from __future__ import annotations

import json
import sys

import duckdb

LEVELS = {"grid": 15, "street": 9, "district": 6, "city": 4}


def main() -> None:
    asked = json.loads(sys.argv[1])
    sql = duckdb.connect()
    sql.execute("SET preserve_insertion_order = false")
    fields = {"device": "VARCHAR", "value": "DOUBLE", "t": "BIGINT", "place": "VARCHAR"}
    sql.execute(
        f"""
        CREATE TABLE device AS
        SELECT device AS key, any_value(place) AS place, t // 10000 * 10000 AS start,
               count(*) AS n, sum(value) AS total, min(value) AS low, max(value) AS high
        FROM read_ndjson(?, columns = {fields}, ignore_errors = true)
        WHERE device IS NOT NULL AND value IS NOT NULL AND t IS NOT NULL
        GROUP BY device, start
        """,
        [asked["log"]],
    )
    merged = "sum(n)::BIGINT AS n, sum(total) AS total, min(low) AS low, max(high) AS high"
    for level, digits in LEVELS.items():
        sql.execute(
            f"CREATE TABLE {level} AS SELECT left(place, {digits}) AS key, start, {merged} "
            "FROM device GROUP BY ALL"
        )
    parts = []
    for level in ("device", *LEVELS):
        columns = "n, total, low, high"
        parts.append(f"SELECT '{level}', 10, key, start, {columns} FROM {level}")
        if level != "device" or asked["device_hops"]:
            parts.append(
                f"SELECT '{level}', 60, key, start - 10000 * pane AS start, {merged} "
                f"FROM {level}, range(6) AS panes(pane) GROUP BY key, start - 10000 * pane"
            )
    query = " UNION ALL ".join(parts)
    sql.execute(f"COPY ({query}) TO '{asked['results']}' (FORMAT csv, HEADER false)")


if __name__ == "__main__":
    main()
