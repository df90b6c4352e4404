"""The register: every fault at its line and column, one canonical form, differences."""

from __future__ import annotations

import random
import stat
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.csv_lines import CONTROL, LineFault, fields_of, quoted, split_plain
from schemas.devices import NOISE_ZONES, ordered, overlaps, written_time
from schemas.metrics import METRICS
from schemas.register import (
    COLUMNS,
    KINDS,
    MOST_PROBLEMS,
    Change,
    Device,
    Register,
    RegisterError,
    diff,
    merge,
    parse_lines,
    parse_register,
    write,
)
from schemas.registers import LONGEST_LINE, read_register, save_register
from schemas.times import EARLIEST, LATEST

HEAD = "device,topic,kind,place"
FULL = ",".join(COLUMNS)
MARCH, JUNE, MONTH = 1_772_323_200_000, 1_780_272_000_000, 2_678_400_000


def faults(text: str) -> list[tuple[int, int, str]]:
    with pytest.raises(RegisterError) as caught:
        parse_register(text, "r.csv")
    assert all(problem.file == "r.csv" for problem in caught.value.problems)
    return [(p.line, p.column, f"{p.path}: {p.message}") for p in caught.value.problems]


def row(**fields: str) -> str:
    """A full row, right but for what is given."""
    right = dict.fromkeys(COLUMNS, "") | dict(zip(HEAD.split(","), PLAIN, strict=True))
    return ",".join((right | fields).values())


PLAIN = ("d1", "sensor", "rain", "440103001")


def start_of(name: str) -> int:
    """Column of a field of `row`."""
    return sum(len(text) + 1 for text in row().split(",")[: COLUMNS.index(name)]) + 1


HEADERS = [
    ("", (1, 1, "empty")),
    (f"{HEAD},perod_s\n", (1, 25, "unknown column 'perod_s': did you mean 'period_s'?")),
    (f"{HEAD},colour\n", (1, 25, "unknown column 'colour': there are device, topic")),
    (f"{HEAD},\n", (1, 25, "a column without a name")),
    (f"{HEAD},kind\n", (1, 25, "kind: the column stands here twice: the first is at 14")),
    ("device,topic,kind\n", (1, 1, "place: the required column is missing")),
    ("device;topic;kind;place\n", (1, 7, "separated by commas, not semicolons")),
    ("device\ttopic\tkind\tplace\n", (1, 7, "separated by commas")),
    ("\n", (1, 1, "a column without a name")),
    (f'{HEAD},"site\n', (1, 25, "not closed in this line; the first line names the columns")),
    (" device,topic,kind,place\n", (1, 1, "did you mean 'device'?")),
]


@pytest.mark.parametrize(("text", "expected"), HEADERS)
def test_faults_of_the_header(text: str, expected: tuple[int, int, str]) -> None:
    found = faults(text)
    assert any((f[0], f[1]) == expected[:2] and expected[2] in f[2] for f in found), found


ROWS = [
    ("device", "", "is empty"),
    ("device", "x" * 65, "has 65 characters: events have at most 64"),
    ("device", " d1", "a space at its end"),
    ("device", "d1\u3000", "a space at its end"),
    ("topic", "", "expected one of sensor, traffic"),
    ("topic", "sensr", "did you mean 'sensor'?"),
    ("topic", "hotline", "expected one of sensor, traffic"),
    ("kind", "", "is empty"),
    ("kind", "rian", "unknown metric: did you mean 'rain'?"),
    ("kind", "parking", "parking is of the topic traffic, not of sensor"),
    ("kind", "qqqqq", "use one of rain"),
    ("platform", "x" * 65, "at most 64"),
    ("place", "", "is not a place code"),
    ("place", "44011", "is not a place code"),
    ("place", "４４０１", "is not a place code"),
    ("place", "4.40103E+14", "rounded by a spreadsheet"),
    ("site", "x" * 65, "at most 64"),
    ("site_type", "x" * 33, "at most 32"),
    *(
        ("period_s", text, "seconds from 0 to")
        for text in ("-1", "nan", "inf", "1e3", "60 s", "0.0001", "2678401", "1_0", "６０")
    ),
    *(
        ("since", text, "a time with its offset")
        for text in ("2026-03-01", "2026-03-01T00:00:00", "1772323200000", "2026-02-30T00:00:00Z")
    ),
    ("since", "1970-01-01T00:00:00Z", "is outside 1973"),
    ("until", "tomorrow", "a time with its offset"),
    ("until", "2100-01-01T00:00:00Z", "is outside 1973"),
    ("well_depth_m", "0", "metres from"),
    ("well_depth_m", "450", "metres from"),
    ("noise_zone", "4", "expected one of nothing, 0, 1, 2, 3, 4a, 4b"),
    ("noise_zone", "5c", "expected one of nothing"),
]


@pytest.mark.parametrize(("name", "text", "hint"), ROWS)
def test_faults_of_a_field(name: str, text: str, hint: str) -> None:
    found = faults(f"{FULL}\n{row()}\n{row(**({'device': 'd2'} | {name: text}))}")
    assert [(f[0], f[1]) for f in found] == [(3, start_of(name))]
    assert found[0][2].startswith(f"{name}: ")
    assert hint in found[0][2]


BROKEN = [
    ('"d1,sensor,rain,4401', 1, "not closed in this line"),
    ('d1,sensor,rain,"4401', 16, "not closed in this line"),
    ('"d"1,sensor,rain,4401', 4, "behind a closing quote"),
    ('d"1,sensor,rain,4401', 2, "a quote inside a field"),
    ("d1,sensor,rain", 15, "the header has 4 columns, this row 3"),
    ("d1,sensor,rain,4401,", 21, "the header has 4 columns, this row 5"),
    ("   ", 4, "the header has 4 columns, this row 1"),
    ("d\x001,sensor,rain,4401", 2, "a control character"),
    ("d1,sensor\x1b[2J,rain,4401", 10, "a control character"),
    ("d1\tsensor,rain,4401", 3, "a tab"),
    ("d1,sensor,rain,4401\rd2,sensor,rain,4401", 20, "a control character"),
    ("d\ud8001,sensor,rain,4401", 2, "byte 0xed is not UTF-8"),
]


@pytest.mark.parametrize(("line", "column", "hint"), BROKEN)
def test_faults_of_a_line(line: str, column: int, hint: str) -> None:
    # What comes behind it is read all the same.
    found = faults(f"{HEAD}\nd0,sensor,rain,4401\n{line}\nd9,sensor,rain,44\n")
    assert [(f[0], f[1]) for f in found] == [(3, column), (4, 16)]
    assert hint in found[0][2]


def test_bytes_that_are_not_utf8_have_a_column_of_characters() -> None:
    text = f"{HEAD}\n广州".encode() + b"\xff,sensor,rain,4401\n"
    with pytest.raises(RegisterError, match=r"^r:2:3: byte 0xff is not UTF-8"):
        parse_lines(text.splitlines(keepends=True), "r")
    with pytest.raises(RegisterError, match=r"^r:1:1: byte 0xff") as caught:
        parse_lines([HEAD.encode("utf-16")], "r")
    assert len(caught.value.problems) == 1


def test_all_faults_are_told_at_once() -> None:
    found = faults(f"{HEAD},perod_s\nd1,sensr,rian,44,60\n,traffic,rain,4401,1\n")
    assert [(f[0], f[1]) for f in found] == [(1, 25), (2, 4), (2, 10), (2, 15), (3, 1), (3, 10)]


def test_a_time_that_ends_before_it_begins() -> None:
    begin, end = "2026-03-01T00:00:00+08:00", "2026-02-28T16:00:00Z"
    line, *_, message = faults(f"{FULL}\n{row(since=begin, until=end)}")[0]
    assert line == 2
    assert "until: is not after since" in message


def test_rows_that_count_at_the_same_time() -> None:
    def text(*times: tuple[str, str]) -> str:
        return "\n".join([FULL, *(row(since=since, until=until) for since, until in times)])

    march, june = "2026-03-01T00:00:00Z", "2026-06-01T00:00:00Z"
    assert len(parse_register(text(("", march), (june, ""), (march, june)), "r")) == 3
    for times in (
        [("", ""), ("", "")],
        [("", june), (march, "")],
        [(march, ""), ("", june)],
    ):
        ((line, column, message),) = faults(text(*times))
        assert (line, column) == (3, 1)
        assert "line 2 has this device and kind for the same time" in message
    # Two short times inside a long one: each of them overlaps it.
    late = "2026-07-01T00:00:00Z"
    found = faults(text(("", ""), (march, june), (june, late)))
    assert [line for line, *_ in found] == [3, 4]


def test_reading_ends_where_every_row_is_faulty() -> None:
    found = faults(f"{HEAD}\n" + "d1,sensor,rain,44\n" * (MOST_PROBLEMS + 50))
    assert len(found) == MOST_PROBLEMS + 1
    assert "the rest was not read" in found[-1][2]


def test_columns_in_any_order_marks_and_line_ends() -> None:
    text = "\ufeffplace,kind,device,topic\r\n440100,pm25,d1,sensor\r\n\r\n4401,parking,p1,traffic"
    first, second = parse_register(text, "r").devices
    assert first == Device("d1", "sensor", "pm25", "", "4401", period_s=300.0)
    assert second == Device("p1", "traffic", "parking", "", "4401", period_s=60.0)


def test_what_quotes_hold() -> None:
    text = f'{HEAD},site\n" d,1",sensor,"rain",4401,"a ""b"""\n"d2",sensor,rain,"4401",""'
    first, second = parse_register(text, "r").devices
    assert (first.device, first.kind, first.site) == (" d,1", "rain", 'a "b"')
    assert (second.device, second.place, second.site) == ("d2", "4401", "")


def test_a_period_is_that_of_the_metric_or_the_rows_own() -> None:
    text = f"{HEAD},period_s\na,sensor,ai_event,4401,\nb,sensor,rain,4401,0.25\n"
    assert [d.period_s for d in parse_register(text, "r").devices] == [0.0, 0.25]


def test_kinds_are_those_of_events_and_belong_to_one_topic() -> None:
    assert KINDS["sensor"].keys() == METRICS.keys()
    assert {"segment_flow", "parking"} <= KINDS["traffic"].keys()
    assert not KINDS["sensor"].keys() & KINDS["traffic"].keys()


# What may stand in a name: everything that an event's name may hold.
NAMES = st.text(st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp")), max_size=32)
TIMES = st.integers(EARLIEST, LATEST - 1)
MILLIS = st.integers(1, 100_000).map(lambda n: n / 1000)


@st.composite
def devices(draw: st.DrawFn) -> list[Device]:
    """Rows of one device and kind that do not overlap."""
    topic = draw(st.sampled_from(sorted(KINDS)))
    kind = draw(st.sampled_from(sorted(KINDS[topic])))
    name = draw(NAMES.filter(bool))
    times: list[int | None] = sorted(draw(st.sets(TIMES, max_size=5)))
    spans = list(pairwise([0, *times, None]))
    chosen = draw(st.lists(st.sampled_from(spans), min_size=1, unique=True))
    return [
        Device(
            name,
            topic,
            kind,
            draw(NAMES),
            draw(st.sampled_from(["4401", "440103", "440111004", "440111004003012"])),
            draw(NAMES),
            draw(NAMES),
            draw(MILLIS | st.just(0.0) | st.just(3600.0)),
            since or 0,
            until,
            draw(st.none() | MILLIS),
            draw(st.sampled_from(NOISE_ZONES)),
        )
        for since, until in chosen
    ]


@st.composite
def registers(draw: st.DrawFn) -> Register:
    groups = draw(st.lists(devices(), max_size=6, unique_by=lambda d: (d[0].device, d[0].kind)))
    return Register(row for group in groups for row in group)


@given(registers())
def test_the_canonical_file_is_read_back(register: Register) -> None:
    text = write(register)
    again = parse_register(text, "r")
    assert again == register
    assert write(again) == text
    assert again.digest == register.digest


@given(registers(), st.randoms(use_true_random=False))
def test_the_order_of_rows_and_columns_makes_no_difference(
    register: Register, draw: random.Random
) -> None:
    head, *rows = (
        [field.text for field in fields_of(line)] for line in write(register).splitlines()
    )
    order = draw.sample(range(len(head)), len(head))
    draw.shuffle(rows)
    text = "\n".join(",".join(quoted(line[i]) for i in order) for line in [head, *rows])
    assert parse_register(text, "r").digest == register.digest


@given(st.text(st.sampled_from('ab," \u3000\t\r\x00é')))
def test_the_fast_way_through_a_line_is_the_careful_one(line: str) -> None:
    fast = split_plain(line)
    try:
        careful = fields_of(line)
    except LineFault as fault:
        broken = fault
    else:
        broken = None
    if broken is not None:
        assert 1 <= broken.column <= len(line)
        assert fast is None
        return
    assert CONTROL.search(line) is None
    if fast is not None:
        assert fast == [field.text for field in careful]
        assert not any(field.loose for field in careful)


@given(registers(), registers())
def test_differences_and_merges(old: Register, new: Register) -> None:
    found = diff(old, new)
    gone = {*found.removed, *(change.old for change in found.changed)}
    come = {*found.added, *(change.new for change in found.changed)}
    assert Register((set(old.devices) - gone) | come) == new
    assert found.unchanged == len(set(old.devices) & set(new.devices) - gone)
    assert found.empty == (old == new)
    assert all(change.fields for change in found.changed)
    back = diff(new, old)
    assert (back.added, back.removed) == (found.removed, found.added)
    assert diff(old, old).empty
    merged = merge(old, new)
    names = {(row.device, row.kind) for row in new.devices}
    kept = [row for row in old.devices if (row.device, row.kind) not in names]
    assert merged == Register([*kept, *new.devices])
    assert merge(merged, new) == merged


@given(registers(), TIMES)
def test_the_row_that_counts(register: Register, t: int) -> None:
    for row in register.devices:
        counting = [
            other
            for other in register.devices
            if (other.device, other.kind) == (row.device, row.kind) and other.counts_at(t)
        ]
        assert register.find(row.device, row.kind, t) == (counting[0] if counting else None)
        assert register.find(row.device, row.kind, row.since) == row
        assert row in register.rows(row.device, row.kind)
        assert row in register.of(row.topic, row.kind)
    assert register.find("", "rain", t) is None
    assert sum(map(len, register.groups())) == len(register)


def test_a_device_that_moves() -> None:
    old = Device("d1", "sensor", "rain", "", "440103001")
    left = old._replace(until=MARCH)
    moved = old._replace(place="440111004", since=MARCH)
    found = diff(Register([old]), Register([left, moved]))
    assert found.changed == (Change(old, left),)
    assert found.changed[0].fields == {"until": (None, MARCH)}
    assert found.added == (moved,)
    later = moved._replace(since=JUNE)
    shifted = diff(Register([left, moved]), Register([left, later]))
    assert [change.fields for change in shifted.changed] == [{"since": (MARCH, JUNE)}]
    assert (shifted.unchanged, shifted.added, shifted.removed) == (1, (), ())
    with pytest.raises(ValueError, match="'d1' has two rows of rain for the same time"):
        Register([old, moved])


def test_overlaps_are_found_behind_a_row_in_between() -> None:
    row = Device("d1", "sensor", "rain", "", "4401")
    rows = [row, row._replace(since=MARCH, until=JUNE), row._replace(since=JUNE + MONTH)]
    assert [second.since for _, second in overlaps(ordered(rows))] == [MARCH, JUNE + MONTH]


def test_times_as_they_are_written() -> None:
    for t in (EARLIEST, LATEST - 1, MARCH, MARCH + 1, MARCH + 999):
        text = f"{FULL}\n{row(since=written_time(t))}"
        assert parse_register(text, "r").devices[0].since == t


def mutated(seed: int) -> bytes:
    """A register that something has happened to."""
    draw = random.Random(seed)
    lines = [FULL] + [
        row(device=f"d{i}", site=f'"站,{i}"', since="2026-03-01T00:00:00Z") for i in range(4)
    ]
    raw = "\n".join(lines).encode()
    for _ in range(draw.randint(1, 4)):
        at = draw.randrange(len(raw))
        match draw.randrange(6):
            case 0:
                raw = raw[:at] + bytes([draw.randrange(256)]) + raw[at + 1 :]
            case 1:
                raw = raw[:at] + raw[at + draw.randint(1, 9) :]
            case 2:
                raw = raw[:at] + draw.choice([b'"', b",", b"\n", b"\r", b"\0", b"\xff"]) + raw[at:]
            case 3:
                raw = raw[:at]
            case 4:
                end = at + draw.randint(1, 40)
                raw = raw[:end] + raw[at:end] + raw[end:]
            case _:
                raw = raw.replace(draw.choice([b"sensor", b"rain", b"4401", b"2026", b"-"]), b"Zx")
        raw = raw or b"\n"
    return raw


def test_mutated_files_are_read_or_refused_in_their_place() -> None:
    refused = 0
    for seed in range(600):
        raw = mutated(seed)
        lines = raw.splitlines(keepends=True) if b"\r" not in raw else raw.split(b"\n")
        try:
            register = parse_lines(lines, "r.csv")
        except RegisterError as error:
            refused += 1
            for problem in error.problems:
                assert 1 <= problem.line <= len(lines) + 1
                text = lines[min(problem.line, len(lines)) - 1].decode(errors="replace")
                assert 1 <= problem.column <= len(text) + 1
                assert str(problem).startswith(f"r.csv:{problem.line}:{problem.column}: ")
                assert CONTROL.search(str(problem)) is None
        else:
            assert parse_register(write(register), "again") == register
    assert refused >= 300


def test_files(tmp_path: Path) -> None:
    path = tmp_path / "register.csv"
    register = parse_register(f"{HEAD}\n广州-1,sensor,rain,440103001\n", "r")
    save_register(register, path)
    assert read_register(path) == register
    assert path.read_text("utf-8") == write(register)
    path.chmod(0o640)
    link = tmp_path / "link.csv"
    link.symlink_to(path)
    save_register(Register(), link)
    assert link.is_symlink()
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert len(read_register(path)) == 0
    assert sorted(p.name for p in tmp_path.iterdir()) == ["link.csv", "register.csv"]


def test_files_that_can_not_be_read(tmp_path: Path) -> None:
    for path, hint in (
        (tmp_path / "none.csv", "none.csv: cannot be read: No such file"),
        (tmp_path, "cannot be read: Is a directory"),
    ):
        with pytest.raises(RegisterError, match=hint):
            read_register(path)
    endless = tmp_path / "endless.csv"
    endless.write_bytes(HEAD.encode() + b"\n" + b"x" * (3 * LONGEST_LINE))
    with pytest.raises(RegisterError, match=f"endless.csv:2:{LONGEST_LINE + 1}: a line longer"):
        read_register(endless)


def test_progress_counts_every_byte(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    path.write_text(f"{HEAD}\n" + "".join(f"d{i},sensor,rain,4401\n" for i in range(9000)))
    told: list[int] = []
    assert len(read_register(path, told.append)) == 9000
    assert len(told) == 3
    assert sum(told) == path.stat().st_size


RELATED = """\
device,topic,kind,place,part_of:group,part_of:line
a,sensor,rain,4401,north/n1,
b,sensor,rain,4401,north/n2,l7
c,sensor,rain,4401,,
"""


def test_relations_are_read_and_written() -> None:
    register = parse_register(RELATED, "r")
    assert [row.part_of for row in register.devices] == [
        (("group", "north/n1"),),
        (("group", "north/n2"), ("line", "l7")),
        (),
    ]
    text = write(register)
    assert text.splitlines()[0].endswith(",noise_zone,limit,medium,part_of:group,part_of:line")
    assert text.splitlines()[1].endswith(",north/n1,")
    assert parse_register(text, "r") == register
    moved = parse_register(RELATED.replace("north/n2,l7", "north/n1,l7"), "r")
    assert moved.digest != register.digest
    (change,) = diff(register, moved).changed
    assert change.fields == {"part_of:group": ("north/n2", "north/n1")}


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("part_of:group", "part_of:Group", "1:25: unknown column 'part_of:Group'"),
        ("part_of:line", "part_of:group", "1:39: part_of:group: the column stands here twice"),
        ("north/n1", "north//n1", "2:20: part_of:group: a name is empty"),
        ("north/n1", "n1/north/n1", "2:20: part_of:group: a name stands in it twice"),
        ("north/n1", "north/ n1", "2:20: part_of:group: a name begins or ends with a space"),
        ("north/n2", "south/n1", "3:1: line 2 puts 'n1' elsewhere: make the two lines agree"),
        (
            "c,sensor,rain,4401,,",
            "a,sensor,pm25,4401,north/n2,",
            "4:1: line 2 puts this device elsewhere at the same time",
        ),
    ],
)
def test_relations_that_are_wrong(old: str, new: str, problem: str) -> None:
    with pytest.raises(RegisterError) as error:
        parse_register(RELATED.replace(old, new), "r")
    assert any(str(p).startswith(f"r:{problem}") for p in error.value.problems), str(error.value)


def test_a_device_may_be_moved_to_another_group() -> None:
    text = """\
device,topic,kind,place,since,until,part_of:group
a,sensor,rain,4401,,2026-03-01T00:00:00Z,north/n1
a,sensor,rain,4401,2026-03-01T00:00:00Z,,south/s1
"""
    assert len(parse_register(text, "r")) == 2
