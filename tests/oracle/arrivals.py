"""Records of sensors as they came, sound or not, computed in SQL from the events and the register.

An arrival counts where the time of its lane is when it comes, so nothing is said twice about it.
"""

from __future__ import annotations

import re

import duckdb

from schemas.metrics import METRICS
from schemas.places import normalise

_NAMES = (b"device", b"metric", b"source", b"place", b"site")
_TEXTS = {
    name.decode(): re.compile(rb'"' + name + rb'"\s*:\s*"([^"\\\x00-\x1f]{1,64})"')
    for name in _NAMES
}
_DEFAULT_PERIOD_S = 300
"""Of a device that neither says nor is registered with how often it reports."""


def legible(record: bytes) -> dict[str, str]:
    """What can be read of a record that was refused, by the names of an event's fields.

    >>> legible(b'{"device": "d1", "metric": "soup", "place": "440100", "val')
    {'device': 'd1', 'place': '4401'}
    """
    read = {}
    for name, pattern in _TEXTS.items():
        found = pattern.search(record)
        if found is not None:
            try:
                read[name] = found[1].decode()
            except UnicodeDecodeError:
                continue
    if read.get("metric") not in METRICS:
        read.pop("metric", None)
    if "place" in read:
        try:
            read["place"] = normalise(read["place"])
        except ValueError:
            del read["place"]
    return read


def make_arrivals(database: duckdb.DuckDBPyConnection) -> None:
    """Fill the table ``arrivals``: one row a record that is no repeat and whose device is legible.

    Its time ``e`` is the event's, or the lane's watermark where that is later, where the event is
    ahead of its record, and where it was refused. A lane without a watermark has no time yet.
    """
    # The row of the register that counts: of the metric, else the first one of the device.
    database.execute("""
        CREATE TABLE arrived AS
        WITH came AS (
            SELECT topic, part, pos, logged, k, rejected, device, metric, source, place, site,
                site_type, q, period_s, t_ingest, e, w,
                CASE WHEN rejected THEN w ELSE e END AS heard
            FROM events WHERE family = 'sensor' AND bin <> 'duplicate' AND device IS NOT NULL)
        SELECT came.*, r.period_s AS own_s, nullif(r.platform, '') AS own_platform,
            r.place AS own_place,
            r.metric AS own_metric, r.registered IS NOT NULL AS registered
        FROM came LEFT JOIN register r
        ON r.topic = 'sensor' AND r.device = came.device AND r.since <= heard AND heard < r.until
        QUALIFY row_number() OVER (
            PARTITION BY came.topic, part, pos
            ORDER BY r.metric IS NOT DISTINCT FROM came.metric DESC, r.metric, r.since) = 1""")
    # Of a record that was refused nothing is believed but who sent it.
    period = f"""coalesce(nullif(own_s, 0), CASE WHEN NOT rejected THEN coalesce(period_s,
        nullif((SELECT m.period_s FROM metrics m WHERE m.code = metric), 0)) END,
        {_DEFAULT_PERIOD_S})"""
    database.execute(f"""
        CREATE TABLE arrivals AS
        SELECT * REPLACE (greatest(e, w) AS e) FROM (
            SELECT 'arrivals' AS family, 'accepted' AS bin, topic, part, pos, device,
                coalesce(metric, own_metric) AS metric,
                CASE WHEN rejected THEN own_platform ELSE coalesce(own_platform, source) END
                    AS platform,
                coalesce(own_place, place) AS place, site, site_type, registered,
                CASE WHEN rejected THEN 0::DOUBLE WHEN q IN ('calib', 'maint') THEN NULL
                    ELSE (q <> 'bad')::INTEGER::DOUBLE END AS valid,
                CASE WHEN NOT rejected
                    THEN (coalesce(t_ingest, logged) - e) / 1000::DOUBLE END AS lateness_s,
                round({period} * 1000)::BIGINT AS period_ms,
                CASE WHEN NOT rejected AND e <= logged + k THEN e END AS e, w
            FROM arrived)
        WHERE coalesce(e, w) IS NOT NULL AND place IS NOT NULL""")
