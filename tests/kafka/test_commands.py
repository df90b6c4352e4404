"""Commands to workers: each obeyed once, in one place for ever, whoever owns the control topic."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import orjson
import pytest
from confluent_kafka import Producer

from agents.commanding import bytes_of, command_of
from agents.marks import written_marks
from agents.outputs import ALERT_LOG, CONTROL, DEAD_LETTER
from agents.pipeline import Pipeline
from streams.log_types import Record
from tests.faults.kafka_faults import Site
from tests.faults.kafka_log import Feed
from tests.kafka import checker
from tests.kafka.broker import Broker
from tests.kafka.test_worker import RATE, await_true, errors, site_on
from tests.rules.marking import MARKS, assert_marked_by_rule

pytestmark = pytest.mark.kafka
SHARDS = {"shards": [{"places": ["440111001"]}]}


def transitions(site: Site) -> dict[bytes, Record]:
    """The alert log: what was sent twice stands once."""
    found: dict[bytes, Record] = {}

    def take(message: Any) -> None:
        name = dict(message.headers())["ce_id"]
        record = Record(len(found), 0, message.key(), message.value(), (("ce_id", name),))
        assert found.setdefault(name, record).value == record.value

    checker.read_all(site.settings, site.configuration.kafka.prefix + ALERT_LOG, take)
    return found


def standing(site: Site) -> list[dict[str, Any]]:
    newest = {r.key: orjson.loads(r.value) for r in transitions(site).values()}
    return [a for a in newest.values() if a["state"] != "cleared" and a["kind"] != "loss"]


def letters_of_commands(found: dict[Any, Any]) -> list[Any]:
    head = f"{CONTROL}/".encode()
    return [name for name in found if name[0] == DEAD_LETTER and name[1].startswith(head)]


def test_commands_to_two_workers_of_which_one_is_killed(
    broker: Broker, tmp_path: Path, prefix: str
) -> None:
    with site_on(broker, tmp_path, prefix, silence_s=2.0, more=SHARDS) as site:
        producer = Producer(site.settings)
        given = 0

        def give(again: bool = False) -> None:
            nonlocal given
            for alert in standing(site)[:8]:
                given += 1
                kind: Any = ("ack", "shelve", "unack")[given % 3]
                minutes = 1 if kind == "shelve" else None
                now = alert["t_update"]
                command = command_of(kind, alert, "duty", "known", minutes, now, f"c{given}")
                for _ in range(1 + again):
                    producer.produce(
                        prefix + CONTROL, bytes_of(command), alert["alert_id"], partition=0
                    )
            producer.flush(30)

        feed = Feed(site.settings, site.plan, 11, RATE)
        feed.start()
        for name in ("first", "second"):
            site.start(name)
        await_true(lambda: len(standing(site)) > 1, 120)
        give()
        owner = "first" if f"{CONTROL}/0" in errors(site, "first") else "second"
        site.wanted.discard(owner)
        site.kill(owner)
        give(again=True)
        site.start(owner)
        # The one that starts again listens to signals before it names its broker anew.
        await_true(lambda: errors(site, owner).count("broker   ") == 2, 120)
        await_true(lambda: feed.sent > 12 * RATE, 120)
        give()
        producer.produce(prefix + CONTROL, b'{"kind":"ack"}', partition=0)
        program = Path(sys.executable).with_name("cityvitals")
        some = standing(site)[0]["alert_id"] if standing(site) else "ffffffff"
        words = [some, "--name", "duty", "--reason", "seen", "--config", str(site.config_file())]
        subprocess.run([program, "ack", *words], check=some != "ffffffff")
        feed.stop()
        producer.flush(30)
        for name in ("first", "second"):
            assert site.stop(name) == 0
        site.start("last", silence_s=0.0)
        site.await_owner("last")
        site.await_settled()
        assert site.stop("last") == 0

        log = transitions(site)
        alerts = [orjson.loads(record.value) for record in log.values()]
        assert sum(alert["transition"] in MARKS for alert in alerts) > 3
        assert_marked_by_rule(alerts)
        # What one process says that obeys what was written.
        plan, found = site.plan, checker.found_in(site.settings, prefix)
        pipeline = Pipeline(plan)
        pipeline.schedule_marks(written_marks(log.values()))
        pipeline.schedule(checker.standing_ticks(site.settings, plan))
        lanes = checker.inputs(site.settings, plan).values()
        outputs = [o for chunk in lanes if chunk.values for o in pipeline.step(chunk)]
        expected = checker.by_id(outputs + pipeline.settle())
        letters = letters_of_commands(found)
        assert letters, "the broken command is told"
        kept = {name: values for name, values in found.items() if name not in letters}
        report = checker.compare(expected, kept)
        assert (report.lost, report.wrong, report.differing) == (0, 0, 0), report
