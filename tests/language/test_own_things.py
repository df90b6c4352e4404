"""A source, a metric, a sign and an incident of one's own, by one more file and nothing else."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from schemas.documents import ConfigurationError
from schemas.loading import CATALOGUE, load
from tests.commands.console import SCRIPT, TIMEOUT_S
from tests.language.running import EXAMPLES

START_S = 1_772_402_400
GRID = "440111004003012"


def catalogue_with_odour(folder: Path) -> Path:
    shutil.copytree(CATALOGUE, folder / "mine")
    shutil.copy(EXAMPLES / "odour.yaml", folder / "mine")
    return folder / "mine"


def said(*words: object) -> list[dict[str, Any]]:
    """The lines that a command prints as JSON."""
    done = subprocess.run(
        [SCRIPT, *map(str, words), "--json"], capture_output=True, timeout=TIMEOUT_S, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    return [json.loads(line) for line in done.stdout.splitlines()]


def said_by_a_nose(minute: int, value: float) -> dict[str, Any]:
    return {"sn": "nose-7", "ts": START_S + 60 * minute, "ou": value, "grid": GRID}


def test_a_stench_of_a_quarter_of_an_hour_that_a_citizen_smells(tmp_path: Path) -> None:
    """35.2 from minute 20 to 35, 3 before and after, and one value that can not be."""
    config, logs, data = catalogue_with_odour(tmp_path), tmp_path / "logs", tmp_path / "data"
    lines = [said_by_a_nose(i, 35.2 if 20 <= i < 35 else 3.0) for i in range(60)]
    lines.append(said_by_a_nose(60, -1.0))
    at = (START_S + 25 * 60) * 1000
    order = {"kind": "order", "order_id": "g1", "status": "created", "seq": 0, "t": at}
    order |= {"t_created": at, "category": ["环境", "油烟异味"], "place": GRID, "source": "desk"}
    logs.mkdir()
    for topic, told in (
        ("enose.readings", lines),
        ("city.hotline.v1", [{**order, "caller_hash": "c"}]),
    ):
        text = "".join(json.dumps(line) + "\n" for line in told)
        (logs / f"{topic}.ndjson").write_text(text, "utf-8")
    *results, summary = said("replay", logs, "--config", config, "--data", data)
    means = {
        (r["t_end"] // 1000 - START_S) // 60: r["value"]
        for r in results
        if r.get("vital") == "air.odour" and r["key_level"] == "grid" and r["rev"] == 0
    }
    assert (means[20], means[25], means[35]) == (3.0, 35.2, 35.2)
    assert means[22] == (3 * 3.0 + 2 * 35.2) / 5
    assert (summary["total"]["accepted"], summary["total"]["rejected"]) == (61, 1)
    (letter,) = said("deadletter", "list", "--data", data)
    assert letter["reason"] == "out_of_range"
    by_rule = {alert["rule"]: alert for alert in said("alerts", "--all", "--data", data)}
    incident, child = by_rule["ce.odour_confirmed"], by_rule["air.odour"]
    assert (incident["max_level"], incident["state"], incident["key"]) == (2, "cleared", GRID)
    assert child["suppressed_by"] == incident["alert_id"]
    assert child["state"] == "cleared"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("code: odour", "code: rain", "'rain' is known already, in mm: choose another"),
        ("maximum: 10000", "maximum: 0", "metrics.0.maximum: must be above minimum (0)"),
    ],
)
def test_a_metric_is_refused_that_is_known_or_has_no_range(
    old: str, new: str, message: str, tmp_path: Path
) -> None:
    config = catalogue_with_odour(tmp_path) / "odour.yaml"
    config.write_text(config.read_text("utf-8").replace(old, new), "utf-8")
    with pytest.raises(ConfigurationError) as refused:
        load(config.parent, environ={})
    assert message in str(refused.value)
