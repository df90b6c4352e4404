"""Keep every result of a Kafka in SQLite: ``python keep_results.py BROKER:PORT results.db``.

A window is said once (``rev 0``), and once more if late events changed it (``rev 1``). A worker
that starts again may repeat itself: the same key and revision have the same bytes, so that an
upsert by sign, key, window and revision ends with the same rows.
"""

import json
import sqlite3
import sys

from confluent_kafka import Consumer


def main() -> None:
    broker, path = sys.argv[1:3]
    db = sqlite3.connect(path)
    db.execute(
        "CREATE TABLE IF NOT EXISTS results(vital, key_level, key, t_end, rev, value, level,"
        " reason, PRIMARY KEY(vital, key_level, key, t_end, rev))"
    )
    consumer = Consumer(
        {"bootstrap.servers": broker, "group.id": "keep-results", "auto.offset.reset": "earliest",
         "enable.auto.commit": False}
    )  # fmt: skip
    consumer.subscribe(["city.vitals-log.v1"])
    columns = ("vital", "key_level", "key", "t_end", "rev", "value", "level", "reason")
    while True:
        messages = consumer.consume(5000, 1.0)
        results = [json.loads(m.value() or b"") for m in messages if m.error() is None]
        if results:
            with db:
                db.executemany(
                    "INSERT INTO results VALUES(?, ?, ?, ?, ?, ?, ?, ?)"
                    " ON CONFLICT DO UPDATE SET value = excluded.value, level = excluded.level,"
                    " reason = excluded.reason",
                    [[result[name] for name in columns] for result in results],
                )
            consumer.commit(asynchronous=False)  # after the rows are durable: nothing is lost
            (count,) = db.execute("SELECT count(*) FROM results").fetchone()
            print(f"{count:,} results", flush=True)


if __name__ == "__main__":
    main()
