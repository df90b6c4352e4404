"""Polars over the file: a batch reference, not streaming. Results go to a CSV file.

As for DuckDB, events that came too late are left in. Polars ends at a malformed line, so lines are
read as text and decoded by its own ``json_decode`` after a look at their end and fields.
"""

from __future__ import annotations

import json
import sys

import polars as pl

LEVELS = {"grid": 15, "street": 9, "district": 6, "city": 4}
PANE_MS = 10_000
MERGED = (
    pl.col("n").sum(), pl.col("total").sum(), pl.col("low").min(), pl.col("high").max()
)  # fmt: skip


def readings(path: str) -> pl.LazyFrame:
    """The well-formed records."""
    lines = pl.scan_csv(
        path, has_header=False, new_columns=["line"], separator="\x01", quote_char=None
    )
    fields = pl.Struct(
        {"device": pl.String, "value": pl.Float64, "t": pl.Int64, "place": pl.String}
    )
    sound = pl.col("line").str.ends_with("}") & ~pl.col("line").str.contains('"n/a"', literal=True)
    decoded = lines.filter(sound).select(pl.col("line").str.json_decode(fields)).unnest("line")
    return decoded.filter(pl.col("t").is_not_null() & pl.col("value").is_not_null())


def main() -> None:
    asked = json.loads(sys.argv[1])
    devices = (
        readings(asked["log"])
        .group_by(key="device", start=pl.col("t") // PANE_MS * PANE_MS)
        .agg(
            pl.col("place").first(),
            n=pl.len().cast(pl.Int64),
            total=pl.col("value").sum(),
            low=pl.col("value").min(),
            high=pl.col("value").max(),
        )
        .collect(engine="streaming")
        .lazy()
    )
    found = {"device": devices.drop("place")}
    for level, digits in LEVELS.items():
        key = pl.col("place").str.slice(0, digits)
        found[level] = devices.group_by(key=key, start="start").agg(*MERGED)
    parts = []
    for level, tumbling in found.items():
        named = (
            pl.lit(level).alias("level"),
            "window_s",
            "key",
            "start",
            "n",
            "total",
            "low",
            "high",
        )
        parts.append(tumbling.with_columns(window_s=10).select(*named))
        if level == "device" and not asked["device_hops"]:
            continue
        hops = pl.DataFrame({"back": [PANE_MS * pane for pane in range(6)]}).lazy()
        spread = tumbling.join(hops, how="cross").with_columns(
            start=pl.col("start") - pl.col("back")
        )
        hopping = spread.group_by("key", "start").agg(*MERGED)
        parts.append(hopping.with_columns(window_s=60).select(*named))
    pl.concat(parts).sink_csv(asked["results"], include_header=False)


if __name__ == "__main__":
    main()
