"""Every sign takes a value at each of its levels, raises its alert and clears it."""

from __future__ import annotations

import pytest

from schemas.signs import Sign
from tests.rules.driven import DRIVERS, phases_of
from tests.rules.driven_all import DRIVEN, MORE
from tests.rules.driven_runs import check_alert, check_levels, outputs_when


@pytest.mark.parametrize("sign", DRIVEN, ids=lambda sign: sign.id)
def test_a_sign_is_seen_at_each_level_and_its_alert_rises_and_clears(sign: Sign) -> None:
    driven = MORE.get(sign.id)
    outputs = outputs_when(sign, driven)
    check_levels(sign, phases_of(sign, driven), outputs)
    if sign.alert is not None:
        check_alert(sign, outputs)


def test_what_is_driven_in_its_own_way_is_in_the_catalogue() -> None:
    assert MORE.keys() | DRIVERS.keys() <= {sign.id for sign in DRIVEN}
    assert not MORE.keys() & DRIVERS.keys()
