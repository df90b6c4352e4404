"""Signs without levels say what they shall, and those with a model raise what is out of it."""

from __future__ import annotations

import pytest

from schemas.signs import Sign
from streams.records import Output
from tests.rules.driven import alone
from tests.rules.driven_all import CATALOGUE
from tests.rules.driven_events import Event
from tests.rules.driven_runs import check_alert, outputs_of, values_of
from tests.rules.driven_unrated import UNRATED, ended, out_of_ordinary

SHOWN = [s for s in CATALOGUE.signs if s.levels is None and set(s.keys) - set(s.hidden)]
MODELLED = [s for s in SHOWN if s.model is not None]


def run(sign: Sign, events: list[Event]) -> list[Output]:
    configuration = alone(CATALOGUE, sign).with_register(UNRATED[sign.id].register)
    topics: dict[str, str] = {t.kind: t.name for t in CATALOGUE.topics}
    return outputs_of(configuration, [(topics[kind], t, said) for t, kind, said in ended(events)])


@pytest.mark.parametrize("sign", SHOWN, ids=lambda sign: sign.id)
def test_a_sign_without_levels_says_its_value(sign: Sign) -> None:
    steady = UNRATED[sign.id]
    said = values_of(sign, run(sign, steady.drive()))
    assert set(said) == set(sign.keys) - set(sign.hidden)
    for values in said.values():
        assert any(value == pytest.approx(steady.value, rel=0.01) for value in values), said


@pytest.mark.parametrize("sign", MODELLED, ids=lambda sign: sign.id)
def test_what_is_out_of_the_ordinary_is_raised_and_clears(sign: Sign) -> None:
    check_alert(sign, run(sign, out_of_ordinary(UNRATED[sign.id])), ["anomaly"])


def test_every_sign_that_is_shown_without_levels_is_driven() -> None:
    assert {sign.id for sign in SHOWN} == UNRATED.keys()
