"""Colours of official warnings: by issuer, event and day."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agents.signals import Signals
from schemas.documents import ConfigurationError
from schemas.events import decode
from schemas.loading import CATALOGUE, load
from schemas.refusal import Refused
from schemas.shaping import decoder_of
from schemas.signals import SignalTable

SHIPPED = load(environ={})
ZONE = "Asia/Shanghai"
NOON = 1_772_337_600_000
"""2026-03-01 12:00 in Guangzhou."""
CITY, PROVINCE, NATION = "广州市气象台", "广东省气象台", "中央气象台"


def warning(**said: Any) -> bytes:
    plain = {"kind": "warning", "warning_id": "w1", "issuer": CITY, "event": "rain", "t": NOON}
    plain |= {"status": "active", "t_expires": NOON + 1, "place": "4401"}
    return json.dumps({**plain, **said}).encode()


def level(signals: Signals, **said: Any) -> float | None:
    event: Any = decoder_of("external", None, level_of=signals.level)(warning(**said))
    found: float | None = event.level
    return found


@pytest.mark.parametrize(
    ("issuer", "event", "colour", "wanted"),
    [
        (CITY, "typhoon", "white", 0.5),
        (CITY, "rain", "yellow", 2),
        ("gz-meteo", "rain", "red", 4),
        (PROVINCE, "rain", "blue", None),
        (PROVINCE, "cold", "blue", 1),
        (NATION, "rain", "blue", 1),
        (NATION, "typhoon", "white", None),
        (NATION, "heat", "blue", None),
    ],
)
def test_colours_are_those_of_the_issuer(
    issuer: str, event: str, colour: str, wanted: float | None
) -> None:
    signals = Signals(SHIPPED.signals, ZONE)
    said = {"issuer": issuer, "event": event, "colour": colour}
    if wanted is not None:
        assert level(signals, **said) == wanted
        return
    with pytest.raises(Refused, match="is no colour of") as refused:
        level(signals, **said)
    assert refused.value.where == "$.colour"


def test_a_level_is_taken_by_its_word_and_one_of_both_is_needed() -> None:
    signals = Signals(SHIPPED.signals, ZONE)
    assert level(signals, level=1, colour="red") == 1
    with pytest.raises(Refused, match="send it, or colour"):
        level(signals)
    with pytest.raises(Refused, match="no table of signals"):
        decode("external", warning(colour="red"))


def test_a_table_changes_with_its_day() -> None:
    """A warning is judged by the day on which it is issued, and its sign says by which table."""
    filled = {"source": "tests", "standing": "proposal"}
    versions = [
        {"label": "old", "valid_to": "2026-03-01", "levels": {"rain": {"blue": 1}}},
        {"label": "new", "valid_from": "2026-03-02", "levels": {"rain": {"blue": 2}}},
    ]
    named = {"id": "mine", "name": {"zh": "x", "en": "x"}}
    table = SignalTable.model_validate({**named, "versions": [{**v, **filled} for v in versions]})
    signals, midnight = Signals([table], ZONE), NOON + 12 * 3_600_000
    for t, wanted in ((midnight - 1, 1), (midnight, 2)):
        assert level(signals, colour="blue", t=t, t_expires=t + 1) == wanted
    for t, label in ((midnight - 1, "old"), (midnight, "new")):
        event: Any = decoder_of("external", None, level_of=signals.level)(
            warning(colour="blue", t=t, t_expires=t + 1)
        )
        pair = signals.marked(event)
        assert pair is not None
        _, marks = signals.read(np.array([pair[0] / 1e6]))
        assert signals.label(int(marks[0])) == label


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("issuers: [广东, 广州, gd-, gz-]", "issuers: []", "for all other issuers already"),
        ("white: 0.5", "white: 5", "must be at most 4"),
        ("id: national", "id: guangdong", "defined twice"),
        ("rain: {yellow: 2", "rian: {yellow: 2", "did you mean 'rain'"),
        ("rain: {yellow: 2", "rain: {yelow: 2", "did you mean 'yellow'"),
    ],
)
def test_what_is_wrong_with_signals_is_told(
    old: str, new: str, message: str, tmp_path: Path
) -> None:
    for file in CATALOGUE.glob("*.yaml"):
        text = file.read_text("utf-8")
        if file.name == "signals.yaml":
            assert old in text
            text = text.replace(old, new, 1)
        (tmp_path / file.name).write_text(text, "utf-8")
    with pytest.raises(ConfigurationError) as refused:
        load(tmp_path, environ={})
    assert [p for p in refused.value.problems if message in p.message], refused.value
    assert all(Path(p.file).name == "signals.yaml" for p in refused.value.problems)
