"""The gate: what passes, in which form, and what is refused, where and with which hint."""

from __future__ import annotations

import json
import math
import pickle
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.events import KINDS, LIMIT, AnyEvent, decode
from schemas.metrics import METRICS
from schemas.refusal import CODES, Refused

EXAMPLES: dict[str, dict[str, Any]] = json.loads(
    (Path(__file__).parent / "examples.json").read_text(encoding="utf-8")
)
CALL = EXAMPLES.pop("call")
HOTLINE, READING, WARNING = EXAMPLES["hotline"], EXAMPLES["sensor"], EXAMPLES["external"]
MARK = "ZXMARKZX"

MINIMAL = (
    b'{"device":"d","metric":"rain","value":%s,"unit":"mm","t":%s,"place":"4401","seq":%s,'
    b'"medium":%s}'
)


def minimal(
    value: bytes = b"1", t: bytes = b"1779403290000", seq: bytes = b"0", medium: bytes = b'"air"'
) -> bytes:
    """A reading with one part replaced by raw bytes."""
    return MINIMAL % (value, t, seq, medium)


def refusal(kind: str, raw: bytes) -> Refused:
    """Decode a record that must be refused; check what holds of every refusal."""
    with pytest.raises(Refused) as caught:
        decode(kind, raw)
    refused = caught.value
    assert refused.code in CODES
    assert refused.where.startswith(("$", "byte "))
    assert refused.hint
    assert str(refused) == f"`{refused.where}` {refused.hint}"
    assert MARK not in str(refused)
    assert MARK not in f"{refused.__context__} {refused.__cause__}"
    return refused


def attempt(kind: str, raw: bytes) -> AnyEvent | Refused:
    """Decode a record; anything but an event or a refusal fails the test."""
    try:
        return decode(kind, raw)
    except Refused as refused:
        return refused


def changed(event: dict[str, Any], **fields: Any) -> bytes:
    return json.dumps({**event, **fields}, ensure_ascii=False).encode()


def without(event: dict[str, Any], *names: str) -> bytes:
    return json.dumps({k: v for k, v in event.items() if k not in names}).encode()


@pytest.mark.parametrize("kind", EXAMPLES)
def test_full_examples_pass_and_set_every_field(kind: str) -> None:
    event = decode(kind, changed(EXAMPLES[kind]))
    assert type(event) is KINDS[kind]
    assert set(EXAMPLES[kind]) == set(event.__struct_fields__)
    assert all(getattr(event, name) is not None for name in event.__struct_fields__)


@pytest.mark.parametrize("kind", EXAMPLES)
def test_every_time_leaves_as_milliseconds(kind: str) -> None:
    event = decode(kind, changed(EXAMPLES[kind]))
    for name in event.__struct_fields__:
        if name in ("t", "due") or name.startswith("t_"):
            assert type(getattr(event, name)) is int


def test_a_call_passes() -> None:
    event = decode("hotline", changed(CALL))
    assert (event.kind, event.wait_s, event.answered) == ("call", 0.0, False)


def test_forms_are_made_one() -> None:
    reading = decode("sensor", changed(READING, place="440100", t="2026-05-21T22:41:30.0019Z"))
    assert (reading.place, reading.t) == ("4401", 1779403290001)
    zero = decode("sensor", changed(READING, value=-0.0, lon=-0.0, lat=-0.0, conf=-0.0))
    for number in (zero.value, zero.lon, zero.lat, zero.conf):
        assert number is not None
        assert math.copysign(1, number) == 1


def test_a_device_may_be_named_in_any_script() -> None:
    assert decode("sensor", changed(READING, device="井盖-７号")).device == "井盖-７号"


def test_text_alone_may_hold_line_breaks() -> None:
    assert decode("hotline", changed(HOTLINE, text="a\r\n\tb")).text == "a\r\n\tb"
    assert refusal("hotline", changed(HOTLINE, caller="a\nb")).where == "$.caller"
    assert refusal("hotline", changed(HOTLINE, text=f"{MARK}\x00")).where == "$.text"


def test_a_step_without_category_has_a_text() -> None:
    for name in ("category", "text"):
        assert getattr(decode("hotline", without(HOTLINE, name)), name) is None
    assert refusal("hotline", without(HOTLINE, "category", "text")).hint.endswith("or text")


def test_of_two_equal_keys_the_last_counts() -> None:
    assert decode("sensor", minimal(value=b'1,"value":2')).value == 2.0
    assert decode("sensor", minimal(t=b'1779403290000,"t":1779403290001')).t == 1779403290001


def test_white_space_around_the_record_passes() -> None:
    assert decode("sensor", b" \n" + minimal() + b"\r\n ").value == 1.0


def test_a_record_of_64_kib_passes_and_one_byte_more_does_not() -> None:
    raw = minimal()
    assert decode("sensor", raw.ljust(LIMIT)).value == 1.0
    assert refusal("sensor", raw.ljust(LIMIT + 1)).code == "too_large"


@pytest.mark.parametrize("code", METRICS)
def test_the_range_of_each_metric_includes_its_ends(code: str) -> None:
    metric = METRICS[code]
    said = {"metric": code, "unit": metric.unit, "stat": {"n": 5}}
    for value in (metric.minimum, metric.maximum):
        event = decode("sensor", changed(READING, value=value, **said))
        assert event.value == value
    for value in (metric.minimum - 1e-3, metric.maximum + 1e-3):
        refused = refusal("sensor", changed(READING, value=value, **said))
        assert (refused.code, refused.where) == ("out_of_range", "$.value")
        assert metric.unit in refused.hint


@pytest.mark.parametrize("name", ["min", "max", "mean"])
def test_what_a_reading_states_of_its_samples_is_in_range_too(name: str) -> None:
    said = {"metric": "pump_state", "unit": "1", "value": 1.0, "stat": {name: 2.5}}
    refused = refusal("sensor", changed(READING, **said))
    assert (refused.code, refused.where) == ("out_of_range", f"$.stat.{name}")


END = len(minimal())
VALUE = minimal().index(b"1,")
MEDIUM = minimal().index(b'"air"')

HOSTILE_BYTES = [
    (b"", "malformed", "byte 0"),
    (b"  ", "malformed", "byte 0"),
    (b"null", "wrong_type", "$"),
    (b"[]", "wrong_type", "$"),
    (b"{}", "missing_field", "$.t"),
    (b"[" * 60_000, "wrong_type", "$"),
    (b'{"stat":' * 8_000, "unknown_field", "$.stat"),
    (b'{"a":' + b"[" * 60_000, "unknown_field", "$"),
    (minimal()[:-1], "malformed", f"byte {END - 1}"),
    (minimal() + b"x", "malformed", f"byte {END}"),
    (minimal() + minimal(), "malformed", f"byte {END}"),
    (b"\xef\xbb\xbf" + minimal(), "malformed", "byte 0"),
    (minimal().decode().encode("utf-16"), "not_utf8", "byte 0"),
    (b"\x00" + minimal(), "control_character", "byte 0"),
    (minimal(medium=b'"\xff"'), "not_utf8", f"byte {MEDIUM + 1}"),
    (minimal(medium=b'"\xed\xa0\x80"'), "not_utf8", f"byte {MEDIUM + 1}"),
    (minimal(medium=b'"\xc0\xaf"'), "not_utf8", f"byte {MEDIUM + 1}"),
    (minimal(medium=b'"\\ud800"'), "malformed", f"byte {MEDIUM + 1}"),
    (minimal(medium=b'"\\udc00"'), "malformed", None),
    (minimal(medium=b'"\\ud800\\u0041"'), "malformed", f"byte {MEDIUM + 1}"),
    (minimal(value=b"}", medium=b'"\\ud800"'), "malformed", f"byte {VALUE}"),
    (minimal(medium=b'"\\\\ud800\x01"'), "control_character", f"byte {MEDIUM + 8}"),
    (minimal(medium=b'"a\x00"'), "control_character", f"byte {MEDIUM + 2}"),
    (minimal(medium=b'"a\n"'), "control_character", f"byte {MEDIUM + 2}"),
    (minimal(medium=b'"a\\u0000"'), "control_character", "$.medium"),
    (minimal(medium=b'"a\\n"'), "control_character", "$.medium"),
    (minimal(medium=b'"a\x7f"'), "control_character", "$.medium"),
    (minimal(medium=b'"a\xc2\x85"'), "control_character", "$.medium"),
    (minimal(medium=b'"\xe2\x80\xa8"'), "control_character", "$.medium"),
    (minimal(medium=b'"\\x"'), "malformed", None),
    (minimal(medium=b"'air'"), "malformed", f"byte {MEDIUM}"),
    (minimal(value=b"NaN"), "not_finite", f"byte {VALUE}"),
    (minimal(value=b"-Infinity"), "not_finite", f"byte {VALUE + 1}"),
    (minimal(value=b"Infinity"), "not_finite", f"byte {VALUE}"),
    (minimal(value=b"1e999"), "not_finite", "$.value"),
    (minimal(value=b"-1e999"), "not_finite", "$.value"),
    (minimal(value=b"9" * 400), "not_finite", "$.value"),
    (minimal(value=b"1e300"), "out_of_range", "$.value"),
    (minimal(value=b"9" * 40), "out_of_range", "$.value"),
    (minimal(value=b"01"), "malformed", None),
    (minimal(value=b".5"), "malformed", None),
    (minimal(value=b"+1"), "malformed", None),
    (minimal(value=b"0x1"), "malformed", None),
    (minimal(value=b"true"), "wrong_type", "$.value"),
    (minimal(value=b"null"), "wrong_type", "$.value"),
    (minimal(value=b'"1"'), "wrong_type", "$.value"),
    (minimal(value=b"[1]"), "wrong_type", "$.value"),
    (minimal(seq=b"1.0"), "wrong_type", "$.seq"),
    (minimal(seq=b"true"), "wrong_type", "$.seq"),
    (minimal(seq=b"-1"), "out_of_bounds", "$.seq"),
    (minimal(seq=b"9007199254740992"), "out_of_bounds", "$.seq"),
    (minimal(seq=b"9" * 60), "out_of_bounds", "$.seq"),
    (minimal(seq=b"9" * 60_000), "out_of_bounds", "$.seq"),
    (minimal(t=b"1779403290"), "bad_time", "$.t"),
    (minimal(t=b"1779403290000000"), "bad_time", "$.t"),
    (minimal(t=b"-1"), "bad_time", "$.t"),
    (minimal(t=b"9" * 60), "bad_time", "$.t"),
    (minimal(t=b"1779403290000.0"), "wrong_type", "$.t"),
    (minimal(t=b"true"), "wrong_type", "$.t"),
    (minimal(t=b"null"), "wrong_type", "$.t"),
    (minimal(t=b'"1779403290000"'), "bad_time", "$.t"),
    (minimal(t=b'"2026-05-22T06:41:30"'), "bad_time", "$.t"),
    (minimal(t=b'"2026-05-22"'), "bad_time", "$.t"),
    (minimal(t=b'"2026-W01-1T00:00:00+08:00"'), "bad_time", "$.t"),
    (minimal(t=b'"2026-W01-1T00:00+08:00"'), "bad_time", "$.t"),
    (minimal(t=b'"2026-142T00:00:00Z"'), "bad_time", "$.t"),
    (minimal(t=b'"2016-12-31T23:59:60Z"'), "bad_time", "$.t"),
    (minimal(t=b'"2026-05-22T24:00:00Z"'), "bad_time", "$.t"),
    (minimal(t=b'"1970-01-01T00:00:00Z"'), "bad_time", "$.t"),
    (minimal(t='"２０２６-05-22T06:41:30Z"'.encode()), "bad_time", "$.t"),
    (b'{"x` - at `$.' + MARK.encode() + b'":1}', "unknown_field", "$"),
]


@pytest.mark.parametrize(
    ("raw", "code", "where"), HOSTILE_BYTES, ids=[str(i) for i in range(len(HOSTILE_BYTES))]
)
def test_hostile_bytes(raw: bytes, code: str, where: str | None) -> None:
    refused = refusal("sensor", raw)
    assert refused.code == code
    assert where is None or refused.where == where
    assert where is not None or refused.where.startswith("byte ")
    assert code != "malformed" or re.search(": (send|take|leave)", refused.hint), refused.hint


INCONSISTENT = [
    ("sensor", changed(READING, t_end=1779403289999), "inconsistent", "$.t_end"),
    ("sensor", changed(READING, metric=MARK), "unknown_metric", "$.metric"),
    ("sensor", changed(READING, metric="Water_Depth"), "unknown_metric", "$.metric"),
    ("sensor", changed(READING, unit="m"), "wrong_unit", "$.unit"),
    ("sensor", changed(READING, unit=MARK), "wrong_unit", "$.unit"),
    ("sensor", changed(READING, unit="ｃｍ"), "wrong_unit", "$.unit"),
    ("sensor", without(READING, "lat"), "inconsistent", "$.lat"),
    ("sensor", without(READING, "lon"), "inconsistent", "$.lon"),
    ("sensor", changed(READING, stat={"min": 2, "max": 1}), "inconsistent", "$.stat.min"),
    ("sensor", changed(READING, stat={"mean": 3, "max": 1}), "inconsistent", "$.stat.mean"),
    ("sensor", changed(READING, stat={"mean": 0, "min": 1}), "inconsistent", "$.stat.mean"),
    ("sensor", changed(READING, stat={MARK: 1}), "unknown_field", "$.stat"),
    ("sensor", changed(READING, stat={"n": MARK}), "wrong_type", "$.stat.n"),
    ("sensor", changed(READING, src="gz"), "unknown_field", "$"),
    ("sensor", changed(READING, place="４４０１"), "bad_place", "$.place"),
    ("sensor", changed(READING, place={"code": MARK}), "wrong_type", "$.place"),
    ("traffic", changed(EXAMPLES["traffic"], t_end=1779403199999), "inconsistent", "$.t_end"),
    ("hotline", without(HOTLINE, "order_id"), "missing_field", "$.order_id"),
    ("hotline", without(HOTLINE, "status"), "missing_field", "$.status"),
    ("hotline", without(HOTLINE, "t_created"), "missing_field", "$.t_created"),
    ("hotline", without(HOTLINE, "category", "text"), "missing_field", "$.category"),
    ("hotline", without(HOTLINE, "duplicate_of"), "missing_field", "$.duplicate_of"),
    ("hotline", without(CALL, "wait_s"), "missing_field", "$.wait_s"),
    ("hotline", without(CALL, "answered"), "missing_field", "$.answered"),
    ("hotline", changed(HOTLINE, category=[]), "out_of_bounds", "$.category"),
    ("hotline", changed(HOTLINE, category=["a"] * 5), "out_of_bounds", "$.category"),
    ("hotline", changed(HOTLINE, category=["a", MARK * 9]), "out_of_bounds", "$.category[1]"),
    ("hotline", changed(HOTLINE, keywords=["a", 1]), "wrong_type", "$.keywords[1]"),
    ("hotline", changed(HOTLINE, keywords=["\x00" + MARK]), "control_character", "$.keywords[0]"),
    ("hotline", changed(HOTLINE, text=MARK * 251), "out_of_bounds", "$.text"),
    ("external", without(WARNING, "t_expires"), "missing_field", "$.t_expires"),
    ("external", changed(WARNING, t_expires=1779402599999), "inconsistent", "$.t_expires"),
    ("external", changed(WARNING, level="red"), "wrong_type", "$.level"),
]


@pytest.mark.parametrize(("kind", "raw", "code", "where"), INCONSISTENT)
def test_fields_that_do_not_fit(kind: str, raw: bytes, code: str, where: str) -> None:
    refused = refusal(kind, raw)
    assert (refused.code, refused.where) == (code, where)


@pytest.mark.parametrize("kind", EXAMPLES)
def test_the_old_name_of_source_and_nested_places_are_not_taken(kind: str) -> None:
    assert refusal(kind, changed(EXAMPLES[kind], src=MARK)).code == "unknown_field"
    assert refusal(kind, changed(EXAMPLES[kind], place={"code": "4401"})).where == "$.place"


def test_a_hint_lists_what_is_expected() -> None:
    assert "WGS84" in refusal("sensor", changed(READING, crs=MARK)).hint
    assert "source" in refusal("sensor", changed(READING, **{MARK: 1})).hint
    assert str(refusal("sensor", minimal(t=b"1779403290"))) == (
        "`$.t` looks like seconds: send milliseconds"
    )


def test_an_unknown_kind_is_the_callers_mistake() -> None:
    with pytest.raises(KeyError):
        decode("weather", b"{}")


def test_a_refusal_survives_a_process_boundary() -> None:
    refused = Refused("bad_time", "$.t", "looks like seconds: send milliseconds")
    copy = pickle.loads(pickle.dumps(refused))
    assert (copy.code, copy.where, copy.hint) == (refused.code, refused.where, refused.hint)


@given(st.sampled_from(sorted(KINDS)), st.binary(max_size=300))
def test_any_bytes_are_an_event_or_a_refusal(kind: str, raw: bytes) -> None:
    assert isinstance(attempt(kind, raw), (KINDS[kind], Refused))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@given(st.data(), st.sampled_from(sorted(KINDS)), JSON)
def test_any_value_in_any_field_is_an_event_or_a_refusal(
    data: st.DataObject, kind: str, value: Any
) -> None:
    example = EXAMPLES[kind]
    raw = json.dumps({**example, data.draw(st.sampled_from(sorted(example))): value}).encode()
    event = attempt(kind, raw)
    if isinstance(event, Refused):
        assert event.code in CODES
    else:
        # What has passed, passes again unchanged.
        assert decode(kind, msgspec.json.encode(event)) == event


@given(st.sampled_from(sorted(KINDS)), st.data())
def test_any_damaged_byte_is_an_event_or_a_refusal(kind: str, data: st.DataObject) -> None:
    raw = bytearray(changed(EXAMPLES[kind]))
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    assert isinstance(attempt(kind, bytes(raw)), (KINDS[kind], Refused))


@pytest.mark.parametrize(
    ("precision", "digits"),
    [
        ("point", 15),
        ("grid", 15),
        ("community", 12),
        ("street", 9),
        ("unknown", 9),
        ("district", 6),
    ],
)
def test_an_order_counts_no_finer_than_its_place_is_known(precision: str, digits: int) -> None:
    known = changed(HOTLINE, place="440111004003012", place_precision=precision)
    assert decode("hotline", known).place == "440111004003012"[:digits]
    coarse = changed(HOTLINE, place="440111", place_precision=precision)
    assert decode("hotline", coarse).place == "440111"
