"""Short forms of the runs on a real Kafka; the long ones are commands of the modules they use."""

from __future__ import annotations

import pytest

from tests.faults.kafka_equal import BAD, RUNS, run
from tests.faults.kafka_faults import Story, run_faults
from tests.faults.kafka_worker import POINTS
from tests.kafka.broker import Broker

pytestmark = pytest.mark.kafka


def test_one_worker_and_three_say_what_the_embedded_engine_says(
    broker: Broker, prefix: str
) -> None:
    _, *runs = RUNS  # what one worker says that nobody stops is said by the last run too
    found = run(broker, 20_000, seed=5, prefix=prefix, runs=runs)
    print(found)
    assert found["said"] > 20_000
    assert found["ticks"] > 12
    assert found["judged"] > 1000, "models did not leave their warming"
    assert found["flagged"] > 10
    for label, *_ in runs:
        assert not any(found[label][name] for name in BAD), label


def test_nothing_is_lost_wrong_or_different_after_kills_and_poison(
    own_broker: Broker, prefix: str
) -> None:
    steps = [lambda story, point=point: story.kill_at(point) for point in POINTS]  # type: ignore[misc]
    steps += [lambda story: story.pause_and_kill(6.0)]
    steps += [Story.broker_dies, Story.poison]
    found = run_faults(own_broker, steps, seed=3, prefix=prefix, rate=300.0, session_timeout_s=4.0)
    print(found)
    assert found["kills"] == len(POINTS) + 1
    assert found["poisoned"] == 1
    assert found["expected"] > 1500
    assert found["judged"] > 50, "models did not leave their warming"
    bad = {name: found[name] for name in ("lost", "wrong", "differing", "remainder")}
    assert bad == dict.fromkeys(bad, 0), found["examples"]
