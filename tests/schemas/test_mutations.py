"""At least 200 mutations of valid events, each invalid by construction, each refused."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args, get_origin, get_type_hints

import msgspec
import pytest

from schemas.events import KINDS, decode
from schemas.refusal import CODES, Refused

EXAMPLES: dict[str, dict[str, Any]] = json.loads(
    (Path(__file__).parent / "examples.json").read_text(encoding="utf-8")
)
EXAMPLES.pop("call")
MARK = "ZXMARKZX"
SEED = 2026


class Mutation(NamedTuple):
    """A record that must be refused, and where."""

    kind: str
    name: str
    raw: bytes
    where: str
    codes: set[str]


def text_of(event: dict[str, Any]) -> bytes:
    return json.dumps(event, ensure_ascii=False).encode()


def is_time(name: str) -> bool:
    return name in ("t", "due") or name.startswith("t_")


def is_word(kind: str, name: str) -> bool:
    hint = get_type_hints(KINDS[kind])[name]
    return any(get_origin(part) is Literal for part in (hint, *get_args(hint)))


def of_another_type(kind: str, draw: random.Random) -> Iterator[tuple[str, str, Any, set[str]]]:
    for name, value in EXAMPLES[kind].items():
        wrong: list[Any] = [{MARK: MARK}, [[MARK]], 1.5 if isinstance(value, str) else MARK]
        if not isinstance(value, bool):
            wrong.append(draw.random() < 0.5)
        if is_time(name):
            wrong.remove(MARK if MARK in wrong else 1.5)
        picked = draw.choice(wrong)
        # A list of one list has the fault one level deeper where the field is a list.
        inner = "[0]" if isinstance(value, list) and isinstance(picked, list) else ""
        code = {"wrong_type", "unknown_field"} if name == "stat" else {"wrong_type"}
        yield name, f"$.{name}{inner}", picked, code


def out_of_bounds(kind: str, draw: random.Random) -> Iterator[tuple[str, str, Any, set[str]]]:
    for name, value in EXAMPLES[kind].items():
        if name == "place":
            bad = draw.choice([MARK, "４４０１", "44011", "440111004003012\n", "", MARK * 50])
            yield name, "$.place", bad, {"bad_place", "control_character"}
        elif is_time(name):
            bad = draw.choice(
                [
                    1779403290,
                    1779403290000000,
                    -5,
                    10**25,
                    f"2026-05-22T06:41:30{MARK}",
                    "2026-05-22T06:41:30",
                    "2026-W21-5T06:41:30+08:00",
                    "2016-12-31T23:59:60Z",
                    "２０２６-05-22T06:41:30Z",
                ]
            )
            yield name, f"$.{name}", bad, {"bad_time"}
        elif is_word(kind, name):
            yield name, f"$.{name}", draw.choice([MARK, "", "Good"]), {"unknown_word"}
        elif name in ("metric", "unit"):
            yield name, f"$.{name}", MARK, {"unknown_metric", "wrong_unit"}
        elif isinstance(value, str):
            bad = draw.choice([MARK * 300, f"{MARK}\x00", f"{MARK}\x1b[31m", f"\x85{MARK}"])
            yield name, f"$.{name}", bad, {"out_of_bounds", "control_character"}
        elif isinstance(value, list):
            yield name, f"$.{name}", [MARK] * 9, {"out_of_bounds"}
        elif isinstance(value, dict):
            yield name, f"$.{name}", {MARK: MARK}, {"unknown_field"}
        elif not isinstance(value, bool):
            bad = draw.choice([-(10**7), 10**30, -1e300, 1e300])
            yield name, f"$.{name}", bad, {"out_of_bounds", "out_of_range", "wrong_type"}


def required(kind: str) -> set[str]:
    return {field.name for field in msgspec.structs.fields(KINDS[kind]) if field.required}


BROKEN: list[tuple[str, Callable[[bytes, random.Random], bytes]]] = [
    ("cut", lambda raw, draw: raw[: draw.randrange(1, len(raw))]),
    ("trailing", lambda raw, draw: raw + draw.choice([b"}", b",", b"{}", MARK.encode()])),
    ("order mark", lambda raw, draw: b"\xef\xbb\xbf" + raw),
    ("raw control", lambda raw, draw: raw.replace(b'"4', b'"\x01' + MARK.encode(), 1)),
    ("bad utf-8", lambda raw, draw: raw.replace(b'"4', b'"\xff' + MARK.encode(), 1)),
    ("raw surrogate", lambda raw, draw: raw.replace(b'"4', b'"\xed\xa0\x80', 1)),
    ("half pair", lambda raw, draw: raw.replace(b'"4', b'"\\ud800' + MARK.encode(), 1)),
    ("not a number", lambda raw, draw: re.sub(rb": [0-9.]+,", b": NaN,", raw, count=1)),
    ("infinity", lambda raw, draw: re.sub(rb": [0-9.]+,", b": -Infinity,", raw, count=1)),
    ("single quotes", lambda raw, draw: raw.replace(b'"', b"'")),
    ("comma", lambda raw, draw: raw[:-1] + b",}"),
    ("utf-16", lambda raw, draw: raw.decode().encode("utf-16-le")),
]


def mutations(seed: int) -> Iterator[Mutation]:
    """Yield every mutation of a seed: one a field and a rule, some a record."""
    draw = random.Random(seed)
    for kind, event in EXAMPLES.items():
        raw = text_of(event)
        for rule in (of_another_type, out_of_bounds):
            for name, where, value, codes in rule(kind, draw):
                mutated = text_of({**event, name: value})
                if isinstance(value, float) and abs(value) > 1e200:
                    codes = codes | {"not_finite"}
                yield Mutation(kind, f"{rule.__name__} {name}", mutated, where, codes)
        for name in sorted(required(kind)):
            rest = {k: v for k, v in event.items() if k != name}
            yield Mutation(kind, f"no {name}", text_of(rest), f"$.{name}", {"missing_field"})
        for name in (MARK, f"{MARK}` - at `$.t", "src", "T", "", "\x00"):
            more = text_of({**event, name: MARK})
            yield Mutation(kind, "one more", more, "$", {"unknown_field"})
        for name, damage in BROKEN:
            codes = {"malformed", "not_utf8", "not_finite", "control_character"}
            yield Mutation(kind, name, damage(raw, draw), "byte", codes)


CASES = list(mutations(SEED))


def test_there_are_enough() -> None:
    assert len(CASES) >= 200
    assert {case.kind for case in CASES} == set(KINDS)
    assert all(case.raw != text_of(EXAMPLES[case.kind]) for case in CASES)


@pytest.mark.parametrize("case", CASES, ids=[f"{i}-{c.kind}" for i, c in enumerate(CASES)])
def test_it_is_refused_where_it_is_wrong(case: Mutation) -> None:
    with pytest.raises(Refused) as caught:
        decode(case.kind, case.raw)
    refused = caught.value
    assert refused.code in case.codes & CODES.keys()
    if case.where == "byte":
        place = re.fullmatch(r"byte (\d+)", refused.where)
        assert place
        assert int(place[1]) <= len(case.raw)
    else:
        assert re.sub(r"\[\d+\]$", "", refused.where) == re.sub(r"\[\d+\]$", "", case.where)
    assert refused.hint
    assert MARK not in f"{refused} {refused.where} {refused.hint} {refused!r}"
    assert MARK not in f"{refused.__context__!r} {refused.__cause__!r}"


def test_other_seeds_hold_too() -> None:
    for seed in range(20):
        for case in mutations(seed):
            with pytest.raises(Refused) as caught:
                decode(case.kind, case.raw)
            assert caught.value.code in case.codes
            assert MARK not in str(caught.value)
