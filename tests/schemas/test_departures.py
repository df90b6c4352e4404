"""Where signs are other than they were proposed: told of signs that there are, and of no effect."""

from __future__ import annotations

import json

import pytest

from schemas.configuration import Configuration
from schemas.departures import departures_of
from schemas.loading import load
from schemas.reference import markdown, reference


@pytest.fixture(scope="module")
def catalogue() -> Configuration:
    return load(environ={})


def test_every_sign_that_is_named_exists(catalogue: Configuration) -> None:
    assert catalogue.departures
    for one in catalogue.departures:
        assert set(one.signs) <= catalogue.sign.keys(), one
        assert len(one.signs) == len(set(one.signs)), one


def test_they_stand_with_their_sign_in_the_reference(catalogue: Configuration) -> None:
    told = departures_of("drain.points", catalogue.departures)
    page = markdown(catalogue, "drain.points").splitlines()
    assert told
    assert all(f"- {name}: {text}" in page for name, text in told)
    assert len(reference(catalogue)["departures"]) == len(catalogue.departures)
    assert departures_of("air.so2_1h", catalogue.departures) == []


def test_they_decide_nothing(catalogue: Configuration) -> None:
    content = json.loads(catalogue.model_dump_json())
    content["departures"] = []
    assert Configuration.model_validate(content).fingerprint == catalogue.fingerprint


def test_what_a_sign_has_is_not_told_as_missing(catalogue: Configuration) -> None:
    early = {s.id for s in catalogue.signs if s.alert is not None and s.alert.early is not None}
    alerted = {sign.id for sign in catalogue.signs if sign.alert is not None}
    for one in catalogue.departures:
        missing = {"raised before its threshold": early, "without alerts": alerted}
        for words, having in missing.items():
            assert words not in one.what or not having & set(one.signs), one
