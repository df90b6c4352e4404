"""The short form of the kill run: five kills; the long one is ``python -m tests.faults...``."""

from __future__ import annotations

from tests.faults.kill_restore import BAD, run_faults


def test_nothing_is_lost_wrong_or_doubled_after_kills() -> None:
    report = run_faults(kills=5, seed=7, minutes=50)
    print(report)
    assert report["kills"] >= 2, "the log was too short for the kills to hit"
    assert report["outputs"] > 10_000
    assert report["judged"] > 1_000, "models did not leave their warming"
    assert report["flagged"] > 100
    assert report["anomaly_alerts"] > 10
    assert report["orders_open"] > 50
    assert {name: report[name] for name in BAD} == dict.fromkeys(BAD, 0)
