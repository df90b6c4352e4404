"""The gate against the strict way: what a lane says and keeps is the same with it and without.

The lane without a gate is the oracle: it decodes every record with the schema's own decoder.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from random import Random
from typing import Any

import pytest

from agents.city import City
from agents.city.register import register_of
from agents.intake import Intake, StepError
from agents.kinds import Kinds
from agents.outputs import DEAD_LETTER
from agents.plan import Plan, compile_plan
from schemas.configuration import Configuration
from schemas.loading import load
from streams.records import Chunk, Lane
from tests.kept import encoded

SENSOR, TRAFFIC = "city.sensor.v1", "city.traffic.v1"
Log = list[tuple[int, bytes]]


@cache
def plan() -> Plan:
    return compile_plan(load(environ={}).with_register(register_of(0.1)))


@cache
def city() -> dict[str, Log]:
    """What arrives in some minutes of a small city, by topic."""
    logs: dict[str, Log] = {SENSOR: [], TRAFFIC: []}
    simulated = City(7, 0.1)
    for k in range(12):
        for one in simulated.minute(k):
            if one.topic in logs:
                logs[one.topic].append((one.arrival_ms, one.value))
    return logs


def lanes(topic: str, plan_: Plan | None = None) -> tuple[Intake, Intake]:
    """One with a gate, and one without."""
    plain, strict = (Intake(plan_ or plan(), Lane(topic, 0)) for _ in range(2))
    assert plain._gate is not None
    strict._gate = None
    return plain, strict


def chunks(log: Log, topic: str, rng: Random) -> Iterator[Chunk]:
    first = 0
    while first < len(log):
        part = log[first : first + rng.choice((1, 7, 300, 2000))]
        offsets = range(first, first + len(part))
        times, values = [t for t, _ in part], [raw for _, raw in part]
        yield Chunk(topic, 0, offsets, times, [None] * len(part), values)
        first += len(part)


def compare(topic: str, log: Log, rng: Random, plan_: Plan | None = None) -> Intake:
    """Step both lanes through a log; the one with the gate."""
    plain, strict = lanes(topic, plan_)
    for chunk in chunks(log, topic, rng):
        assert plain.step(chunk) == strict.step(chunk)
        if rng.randrange(8) == 0:
            other = Intake(plan_ or plan(), Lane(topic, 0))
            other.load(encoded(plain.freeze(whole=True)))
            plain = other
    assert plain.accounting == strict.accounting
    assert plain.accounting.remainder == 0
    assert encoded(plain.freeze(whole=True)) == encoded(strict.freeze(whole=True))
    return plain


def strict_only(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Which records go the strict way from now on."""
    found: list[bytes] = []
    take = Intake._take

    def noting(
        self: Intake, result: Any, offset: int, logged: int, raw: bytes, *rest: Any, **more: Any
    ) -> None:
        if self._gate is not None:
            found.append(raw)
        take(self, result, offset, logged, raw, *rest, **more)

    monkeypatch.setattr(Intake, "_take", noting)
    return found


@pytest.mark.parametrize("topic", [SENSOR, TRAFFIC])
def test_a_city_says_the_same(topic: str) -> None:
    log = city()[topic]
    lane = compare(topic, log, Random(1))
    assert lane.accounting.accepted > len(log) / 2
    assert lane._gate is not None
    assert len(lane._gate) > 10


@pytest.mark.parametrize("topic", [SENSOR, TRAFFIC])
def test_most_records_go_through_the_gate(topic: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """All but the first of a sender, and those that are faulty."""
    log = [(t, raw) for t, raw in city()[topic] if json_of(raw) is not None]
    lane = Intake(plan(), Lane(topic, 0))
    found = strict_only(monkeypatch)
    for chunk in chunks(log, topic, Random(2)):
        lane.step(chunk)
    assert lane._gate is not None
    assert len(found) < 1.2 * len(lane._gate) + 0.02 * len(log)


def json_of(raw: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(raw)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


NUMBERS = (
    "0", "-0", "-0.0", "0.0", "1", "01", "1.", ".5", "1.50", "1e1", "1E+2", "-1", "+1", "1.0",
    "0.1000000000000000055511151231257827", "9007199254740993", "123456789012345678901",
    "18446744073709551617", "1844674407370955162.5", "0018446744073709551617",
    "0.30000000000000004", "2.5e-3", "1e400", "NaN", "null", "true", '"1"', "[1]", "{}", "",
    "12.345678901234567", "99999999999999999999999.5", "0.000000000000000000000000001",
)  # fmt: skip
TEXTS = (
    '""',
    '"a"',
    '"\\u0041"',
    '"é"',
    '"\\n"',
    '"\x7f"',
    "null",
    "1",
    '"' + "x" * 70 + '"',
    "[]",
)


def mutated(raw: bytes, rng: Random) -> bytes:
    """A record that is changed in one way or more, and may be sound still."""
    event = json_of(raw)
    if event is None or rng.randrange(4) == 0:
        return broken(raw, rng)
    fields = [
        (json.dumps(k), json.dumps(v, ensure_ascii=rng.random() < 0.5)) for k, v in event.items()
    ]
    for _ in range(rng.choice((0, 1, 1, 2))):
        name, value = rng.choice(fields)
        match rng.randrange(9):
            case 0:
                fields.append((name, value))
            case 1:
                fields.append((name, rng.choice((*NUMBERS, *TEXTS)) or "0"))
            case 2:
                fields = [f for f in fields if f[0] != name]
            case 3:
                fields.append(
                    (rng.choice(('"x"', '"seq"', '"id"', '"lon"', '"t_end"')), rng.choice(NUMBERS))
                )
            case 4:
                fields.append(('"id"', json.dumps(f"i{rng.randrange(50)}")))
            case 5:
                fields.append(('"seq"', str(rng.choice((0, 1, 2**53 - 1, 2**53, -1)))))
            case 6 | 7:
                fields = [
                    (n, rng.choice((*NUMBERS, *TEXTS)) if n == name else v) for n, v in fields
                ]
            case _:
                moved = rng.choice((-1, 1)) * rng.choice(
                    (1, 999, 60_000, 400_000, 90_000_000, 10**14)
                )
                fields = [
                    (n, str(event["t"] + moved) if n in ('"t"', '"t_end"') and v.isdigit() else v)
                    for n, v in fields
                ]
        if not fields:
            break
    if rng.randrange(2):
        rng.shuffle(fields)
    comma, colon = rng.choice(((",", ":"), (", ", ": "), (" ,\n", "\t:\r")))
    text = "{" + comma.join(f"{n}{colon}{v}" for n, v in fields) + "}"
    return (rng.choice(("", " ", "\n")) + text + rng.choice(("", " ", "\n"))).encode()


def broken(raw: bytes, rng: Random) -> bytes:
    """A record with bytes cut, doubled or replaced."""
    at = rng.randrange(len(raw) + 1)
    match rng.randrange(5):
        case 0:
            return raw[:at]
        case 1:
            return raw[:at] + bytes([rng.randrange(256)]) + raw[at + 1 :]
        case 2:
            return raw[:at] + raw[at : at + 3] + raw[at:]
        case 3:
            return raw + rng.choice((b"x", b"{}", b"\x00", b" ", b"\xff"))
        case _:
            return raw.replace(
                b'":"', b'":"' + rng.choice((b"\xc3\xa9", b"\xff", b"\\u00e9", b"\x00")), 1
            )


def test_a_failure_is_told_of_the_record_at_which_it_came(monkeypatch: pytest.MonkeyPatch) -> None:
    """Twice told of, a record is left out: it must be the one."""
    log = city()[TRAFFIC]
    lane = Intake(plan(), Lane(TRAFFIC, 0))
    whole = Chunk(
        TRAFFIC, 0, range(len(log)), [t for t, _ in log], [None] * len(log), [r for _, r in log]
    )
    other = Intake(plan(), Lane(TRAFFIC, 0))
    wanted = other.step(whole).cuts[-1].name[0]
    cut = Intake._cut

    def failing(self: Intake, result: Any, name: tuple[int, int], *rest: Any) -> Any:
        if name[0] == wanted:
            raise ZeroDivisionError
        return cut(self, result, name, *rest)

    monkeypatch.setattr(Intake, "_cut", failing)
    with pytest.raises(StepError) as failed:
        lane.step(whole)
    assert failed.value.offset == wanted


@pytest.mark.parametrize("number", NUMBERS)
def test_each_form_of_a_number(number: str) -> None:
    """As the value of a sender that the gate knows."""
    logged, raw = next((t, r) for t, r in city()[SENSOR] if b'"rain"' in r and b'"value":0' in r)
    event = json.loads(raw)
    log = [(logged, raw)]
    for later in range(1, 4):
        known = json.dumps({**event, "t": event["t"] + later}, separators=(",", ":"))
        value = json.dumps(event["value"])
        changed = known.replace(f'"value":{value}', f'"value":{number}')
        log.append((logged, (known if later == 1 else changed).encode()))
    lane = compare(SENSOR, log, Random(0))
    assert lane.accounting.accepted >= 2


@pytest.mark.parametrize("topic", [SENSOR, TRAFFIC])
@pytest.mark.parametrize("seed", range(4))
def test_whatever_comes_is_read_as_the_strict_way_reads_it(topic: str, seed: int) -> None:
    """Each record of few senders in many forms: the gate knows them all, and some of the forms."""
    rng = Random(seed)
    sound = city()[topic]
    log: Log = []
    few = rng.sample(sound, 60)
    for logged, raw in sorted(few):
        log += [(logged, raw)] * 2
        log += [(logged + rng.choice((0, 1, 5_000)), mutated(raw, rng)) for _ in range(60)]
    lane = compare(topic, sorted(log, key=lambda one: one[0]), rng)
    counts = lane.accounting
    assert min(counts.accepted, counts.rejected, counts.duplicate) > 50


NAMES = ("a", "b" * 64, "c" * 65, "", "d e", "é", "\\u0041", "\\\\", "\\n", "\x7f", "null")
PLACES = ("4401", "440100", "440111", "440111004", "440111004003", "440111004003012", "44011", "４")


def renamed(raw: bytes, names: list[str], rng: Random) -> bytes:
    """A record of another sender of its kind, which may be unsound or have a field twice."""
    event = json.loads(raw)
    named = "device" if "device" in event else "source_id"
    event[named] = rng.choice((*names, f"new-{rng.randrange(400)}"))
    if rng.randrange(3) == 0:
        event["place"] = rng.choice(PLACES)
    if rng.randrange(3) == 0:
        event["site"] = rng.choice((*NAMES, f"site-{rng.randrange(9)}"))
    if "value" in event and rng.randrange(10) == 0:
        event["value"] = rng.choice((-9999, -0.0, 1e9, event["value"]))
    event["t"] += rng.choice((0, 0, 0, 1, -60_000, -400_000, 70_000, 90_000_000))
    if rng.randrange(20) == 0:
        event[rng.choice(("id", "seq", "t_end"))] = rng.choice((0, "i1", event["t"] + 5_000))
    text = json.dumps(event, ensure_ascii=rng.random() < 0.5, separators=(",", ":"))
    if rng.randrange(20) == 0:
        twice = rng.choice((named, "place", "site"))
        text = text[:-1] + f',"{twice}":"{rng.choice(("x", "440111"))}"}}'
    return text.replace("\\\\", "\\").encode()


@pytest.mark.parametrize("topic", [SENSOR, TRAFFIC])
@pytest.mark.parametrize("seed", range(4))
def test_a_sender_of_a_known_kind_is_met_as_the_strict_way_would(
    topic: str, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    met: list[bool] = []
    meet = Kinds.meet

    def noting(self: Kinds, raw: bytes, logged: int) -> bool:
        met.append(meet(self, raw, logged))
        return met[-1]

    monkeypatch.setattr(Kinds, "meet", noting)
    rng = Random(seed)
    names = [d.device for d in plan().configuration.register.devices][:200] + list(NAMES)
    few = rng.sample([(t, r) for t, r in city()[topic] if json_of(r)], 20)
    log: Log = []
    for logged, raw in sorted(few):
        log += [(logged, raw)] * 2
        log += [(logged + rng.choice((0, 1)), renamed(raw, names, rng)) for _ in range(100)]
    lane = compare(topic, sorted(log, key=lambda one: one[0]), rng)
    assert sum(met) > 50
    counts = lane.accounting
    assert min(counts.accepted, counts.rejected, counts.late) > 20


def narrow(most_keys: int) -> Plan:
    """A plan whose lanes have room for few keys."""
    content = load(environ={}).model_dump(mode="json")
    for topic in content["topics"]:
        topic["most_keys"] = most_keys
    configuration = Configuration.model_validate(content)
    return compile_plan(configuration.with_register(register_of(0.1)))


@pytest.mark.parametrize("topic", [SENSOR, TRAFFIC])
def test_ever_new_senders_are_refused_and_known_ones_go_on(topic: str) -> None:
    """Beyond the room for keys, whether the gate meets a sender or not."""
    named, kind = ("device", b'"rain"') if topic == SENSOR else ("source_id", b'"segment_flow"')
    logged, raw = next((t, r) for t, r in city()[topic] if kind in r)
    event = {name: value for name, value in json.loads(raw).items() if name != "site"}
    log: Log = []
    for n in range(400):
        new = json.dumps({**event, named: f"new-{n}", "t": event["t"] + n}, separators=(",", ":"))
        known = json.dumps({**event, "t": event["t"] + n}, separators=(",", ":"))
        log += [(logged + n, new.encode()), (logged + n, known.encode())]
    lane = compare(topic, log, Random(3), narrow(150))
    counts = lane.accounting
    assert 0 <= lane.room.left < 30
    assert counts.rejected > 200
    assert counts.read - counts.rejected >= 400
    whole = Chunk(
        topic, 0, range(len(log)), [t for t, _ in log], [None] * len(log), [r for _, r in log]
    )
    letters = Intake(narrow(150), Lane(topic, 0)).step(whole).outputs
    refused = [json.loads(out.value) for out in letters if out.topic == DEAD_LETTER]
    assert {letter["reason"] for letter in refused} == {"too_many_keys"}
    assert len(refused) == counts.rejected
    assert "most_keys" in refused[0]["hint"]


def counting() -> Plan:
    """A plan with signs that count the events for which a condition holds."""
    content = load(environ={}).model_dump(mode="json")
    common = {
        "kind": "window",
        "domain": "a",
        "name": {"zh": "a", "en": "a"},
        "unit": "%",
        "source": "tests",
        "window": {"size_s": 60, "hop_s": 60},
        "keys": ["street", "city"],
        "rollup": "merge",
    }
    low, high = {"at_most": 0.4}, {"at_least": 0.1, "at_most": 30}
    rain = {**common, "topic": "sensor", "match": {"metric": "rain"}, "base": "street"}
    flow = {**common, "topic": "traffic", "match": {"kind": "segment_flow"}, "base": "street"}
    came = {**common, "topic": "arrivals", "match": {}, "base": "street"}
    wanted: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
        ("a.share", rain, {"function": "share", "where": {"value": low}}),
        ("a.among", rain, {"function": "share", "where": {"value": low}, "among": {"value": high}}),
        ("a.exact", rain, {"function": "hits", "where": {"value": 0.2}}),
        ("a.named", rain, {"function": "share", "where": {"q": "good"}}),
        ("a.both", rain, {"function": "hits", "where": {"value": high, "q": "good"}}),
        ("a.distinct", rain, {"function": "distinct", "of": "device", "where": {"value": low}}),
        ("a.peak", rain, {"function": "peak"}),
        ("a.slow", flow, {"function": "share", "where": {"speed_kmh": {"at_most": 40}}}),
        ("a.fast", flow, {"function": "hits", "where": {"speed_kmh": {"at_least": 40}}}),
        ("a.late", came, {"function": "share", "where": {"lateness_s": {"at_most": 2}}}),
        ("a.valid", came, {"function": "hits", "where": {"valid": 1}}),
    ]
    for name, given, how in wanted:
        unit = "mm" if how["function"] == "peak" else "%"
        content["signs"].append({**given, "id": name, "unit": unit, "aggregate": how})
    configuration = Configuration.model_validate(content)
    return compile_plan(configuration.with_register(register_of(0.1)))


@pytest.mark.parametrize("topic", [SENSOR, TRAFFIC])
def test_conditions_hold_for_the_gate_as_for_the_strict_way(topic: str) -> None:
    made = counting()
    lane = compare(topic, city()[topic], Random(4), made)
    assert lane._gate is not None
    assert len(lane._gate) > 10
    told = {p.sign for f in lane._folds for p in f.close_until(1 << 60, ending=False)}
    asked = {s.id for s in made.configuration.signs if s.id.startswith("a.")}
    of_topic = {n for n in asked if (n in ("a.slow", "a.fast")) == (topic == TRAFFIC)}
    assert of_topic <= told | {"a.exact", "a.both", "a.among"}
