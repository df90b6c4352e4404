"""``cityvitals register``: which devices are expected, what changed, and who speaks unasked."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import orjson
import typer

from agents.commands.exits import BAD, FINDING, Fault, complain, guarded, writing
from agents.commands.options import FOLDER, Data, Json
from agents.commands.related import TABLE, diff_tables, import_table
from agents.commands.wording import key_with_name, moment, place_name, printable

if TYPE_CHECKING:
    from agents.commands.heard import Hearing, Silent, Unknown
    from schemas.register import Device, Difference, Register

DEFAULT = Path("register.csv")

_BIG = 4 << 20
"""Bytes from which reading a file shows how far it is: about a fifth of a second."""
_SHOWN = 50
_GIVES = {"首见 first": 4, "末见 last": 3, "条数 count": 2, "周期 period": 2, "平台 platform": 1}
"""Columns that a narrow terminal does without, the greatest first."""
_COUNTS = ("条数 count", "周期 period")
_WHY = {"unlisted": "未列 not listed", "other_time": "时段外 listed for another time"}

app = typer.Typer(
    no_args_is_help=True,
    help="The device register: import it, compare two of them, find who is not in it.",
)


@app.command("import")
@guarded
def import_register(
    source: Annotated[Path, typer.Argument(help="CSV file to take in.", metavar="SOURCE.csv")],
    into: Annotated[
        Path | None,
        typer.Option(
            "--into",
            help="Register, or table of relations, that takes it in.",
            metavar="FILE",
            show_default="register.csv, or relations.csv",
        ),
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="SOURCE is the whole register from now on.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Check a list of devices, or of relations, and merge it into the register's.

    The first line names the columns, in any order: `device`, `topic` (sensor or traffic), `kind`
    (metric, or kind of observation) and `place` are required; `platform`, `site`, `site_type`,
    `period_s`, `since`, `until`, `well_depth_m`, `noise_zone`, `limit`, `medium` and `part_of:NAME`
    may be left out. Without
    `period_s` the usual one of the metric holds. A device that moved has two rows whose times
    (`since`, `until`: RFC 3339 with an offset) do not overlap.

    All rows of a device and kind in SOURCE replace those the register has; other devices stay.
    Every fault is told at its file, line and column, and then nothing is written (exit code 2).

    A list whose first line names `relation` and `from` says how keys are related: `to` is the other
    key, `since` and `until` are as above; rows of the relation `position` have `lon` and `lat`. All
    rows of a relation and its `from` replace those the table has.

    **Examples**

    - `cityvitals register import rain-gauges.csv`

    - `cityvitals register import zones.csv --into relations.csv`

    - `cityvitals register import all.csv --into baiyun.csv --replace`

    - `cityvitals register import rain-gauges.csv --json | jq .districts`
    """
    from schemas.devices import diff, merge
    from schemas.register import Register
    from schemas.registers import is_table, save_register

    if is_table(source):
        with _faults_told(as_json=as_json):
            import_table(source, into or TABLE, replace=replace, as_json=as_json)
        return
    into = into or DEFAULT
    with _faults_told(as_json=as_json):
        given = _read(source)
        old = _read(into) if into.exists() else Register()
    new = given if replace else merge(old, given)
    with writing(into):
        save_register(new, into)
    _report_import(into, new, diff(old, new), as_json=as_json)


@app.command("diff")
@guarded
def diff_registers(
    old: Annotated[Path, typer.Argument(help="Register as it was.", metavar="OLD.csv")],
    new: Annotated[Path, typer.Argument(help="Register as it is.", metavar="NEW.csv")],
    as_json: Json = False,
) -> None:
    """Compare two registers: devices added (+), removed (-) and changed (~), field by field; or two
    tables of relations in the same way.

    The order of rows and columns makes no difference. Exit code 0 where they are equal, 1 where
    they differ. With --json there is one object a device.

    **Examples**

    - `cityvitals register diff register.csv delivered.csv`

    - `cityvitals register diff old.csv new.csv --json | jq -r 'select(.change == "added").device'`
    """
    from schemas.devices import diff
    from schemas.registers import is_table

    if is_table(old) and is_table(new):
        with _faults_told(as_json=as_json):
            equal = diff_tables(old, new, as_json=as_json)
        if not equal:
            raise typer.Exit(FINDING)
        return
    with _faults_told(as_json=as_json):
        found = diff(_read(old), _read(new))
    for line in _difference_lines(found, as_json=as_json):
        print(line)
    if not found.empty:
        raise typer.Exit(FINDING)
    if not as_json:
        complain(f"equal: {found.unchanged:,} rows")


@app.command("unknown")
@guarded
def unknown_devices(
    register: Annotated[
        Path | None,
        typer.Option(
            "--register",
            help="Register to hold it against.",
            metavar="FILE",
            show_default="register.csv, else that of the folder's last run",
        ),
    ] = None,
    data: Data = FOLDER,
    as_json: Json = False,
) -> None:
    """Find devices that speak but are not registered, and registered ones never heard.

    It reads the input topics of a data folder, whether an engine runs on it or not, as far back as
    the log still keeps them (`--retain` of `up`); a Kafka is not read. A device is never heard
    where it should have spoken three times in that time; one whose period is too long for that,
    or that reports happenings alone, is not judged. A device whose records are all refused was
    heard. Exit code 1 where something was found.

    **Examples**

    - `cityvitals register unknown`

    - `cityvitals register unknown --register baiyun.csv --data ./replayed`

    - `cityvitals register unknown --json | jq -r '.never_heard[].device'`
    """
    from agents.commands.expectations import kept_register
    from agents.commands.folder import opened, read_about
    from agents.commands.heard import Hearing, listen

    if register is None and DEFAULT.exists():
        register = DEFAULT
    if register is not None and not register.exists():
        raise Fault(BAD, f"{register}: no such file: make it with `cityvitals register import`")
    against = f"the register of the last run on {data}" if register is None else str(register)
    with opened(data) as store:
        with _faults_told(as_json=as_json):
            known = kept_register(store) if register is None else _read(register)
        if register is None and not known.devices:
            raise Fault(BAD, f"{data}: its run had no register: name one with --register")
        complain(f"held against {against}: {len(known):,} rows")
        about = read_about(store)
        hearing = Hearing(known, about.shapes)
        with _bar("查找 look", "记录 records") as progress:
            listen(store, about.kinds, hearing, progress)
    unknown, silent = hearing.unknown(), hearing.silent()
    if as_json:
        _print_heard(hearing, unknown, silent)
    else:
        _show_heard(hearing, unknown, silent, about.zone)
    if unknown or silent.never_heard:
        raise typer.Exit(FINDING)


@contextmanager
def _faults_told(*, as_json: bool) -> Iterator[None]:
    """Faults of a register end the command: as lines, or as the object that `check` prints."""
    from schemas.documents import ConfigurationError

    try:
        yield
    except ConfigurationError as error:
        if not as_json:
            raise
        problems = [problem._asdict() for problem in error.problems]
        print(orjson.dumps({"ok": False, "problems": problems}).decode())
        raise typer.Exit(BAD) from error


def _read(path: Path) -> Register:
    from schemas.registers import read_register

    size = path.stat().st_size if path.is_file() else 0
    if size < _BIG:
        return read_register(path)
    with _bar("读 read", str(path)) as progress:
        done = 0

        def advance(more: int) -> None:
            nonlocal done
            done += more
            progress(done, size)

        return read_register(path, advance)


@contextmanager
def _bar(what: str, of: str) -> Iterator[Callable[[int, int], None]]:
    """A bar of progress on standard error, told how much is done of how much."""
    if not sys.stderr.isatty():
        yield lambda done, total: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True)) as bar:
        task = bar.add_task(f"{what} {of}", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _report_import(into: Path, register: Register, found: Difference, *, as_json: bool) -> None:
    kinds: Counter[tuple[str, str]] = Counter()
    districts: Counter[str] = Counter()
    for *_, row in register.groups():
        kinds[row.topic, row.kind] += 1
        districts[_district(row.place)] += 1
    counts = {
        "added": len(found.added),
        "changed": len(found.changed),
        "removed": len(found.removed),
        "unchanged": found.unchanged,
    }
    if as_json:
        said: dict[str, Any] = {"into": str(into), "digest": register.digest, **counts}
        said["rows"] = len(register)
        said["kinds"] = {f"{topic}/{kind}": n for (topic, kind), n in sorted(kinds.items())}
        said["districts"] = dict(sorted(districts.items()))
        print(orjson.dumps(said).decode())
        return
    told = ", ".join(f"{count:,} {name}" for name, count in counts.items())
    print(f"{into}: {told}; {len(register):,} rows, register {register.digest}")
    for (topic, kind), count in sorted(kinds.items()):
        print(f"{count:9,} {topic} {kind}")
    for place, count in sorted(districts.items()):
        print(f"{count:9,} {place} {place_name(place)}".rstrip())


def _district(place: str) -> str:
    from schemas.places import at_level

    return at_level(place, "district") or place[:4]


def _difference_lines(found: Difference, *, as_json: bool) -> Iterator[str]:
    rows: list[tuple[str, Device, dict[str, Any]]]
    rows = [("added", row, {}) for row in found.added]
    rows += [("removed", row, {}) for row in found.removed]
    rows += [("changed", change.new, change.fields) for change in found.changed]
    for change, row, fields in sorted(rows, key=lambda r: (r[1].device, r[1].kind, r[1].since)):
        if as_json:
            told = {"change": change, **row._asdict()}
            if fields:
                told["fields"] = {name: list(pair) for name, pair in fields.items()}
            yield orjson.dumps(told).decode()
        else:
            mark = {"added": "+", "removed": "-", "changed": "~"}[change]
            named = [f"{mark} {printable(row.device)} {row.kind}"]
            pairs = (f"{n}: {_shown(n, a)} -> {_shown(n, b)}" for n, (a, b) in fields.items())
            yield " ".join([*named, ", ".join(pairs) or key_with_name(row.place, row.place)])


def _shown(name: str, value: Any) -> str:
    """The value of a field, as the file has it; a dash for none."""
    from schemas.devices import written_time

    if value in (None, "") or (name == "since" and value == 0):
        return "–"
    if name in ("since", "until"):
        return written_time(value)
    return f"{value:g}" if isinstance(value, float) else printable(value)


def _print_heard(hearing: Hearing, unknown: list[Unknown], silent: Silent) -> None:
    said = {
        "log": {
            "first": hearing.first,
            "last": hearing.last,
            "records": hearing.records,
            "refused": hearing.refused,
        },
        "unknown": [asdict(one) for one in unknown],
        "never_heard": [row._asdict() for row in silent.never_heard],
        "not_judged": silent.not_judged,
    }
    print(orjson.dumps(said).decode())


def _show_heard(hearing: Hearing, unknown: list[Unknown], silent: Silent, zone: str) -> None:
    if hearing.first is None or hearing.last is None:
        complain("the log keeps no readings and no observations: there is nothing to look at")
        return
    kept = f"{moment(hearing.first, zone)} to {moment(hearing.last, zone)}"
    complain(f"looked at what the log still keeps: {hearing.records:,} records, {kept}")
    if hearing.refused:
        complain(f"{hearing.refused:,} were refused: `cityvitals deadletter list` says why")
    if unknown:
        _show_rows(
            f"未登记 not registered: {len(unknown):,}",
            ("首见 first", "末见 last", "条数 count", "原因 why"),
            [
                (
                    *_named(one),
                    moment(one.first, zone),
                    moment(one.last, zone),
                    f"{one.count:,}",
                    _WHY[one.why],
                )
                for one in unknown[:_SHOWN]
            ],
            len(unknown),
        )
    if silent.never_heard:
        _show_rows(
            f"从未收到 never heard: {len(silent.never_heard):,}",
            ("平台 platform", "周期 period"),
            [
                (*_named(row), printable(row.platform), f"{row.period_s:g} s")
                for row in silent.never_heard[:_SHOWN]
            ],
            len(silent.never_heard),
        )
    if silent.not_judged:
        why = "in that time they need not have spoken three times"
        complain(f"{silent.not_judged:,} not judged: {why}")
    if not unknown and not silent.never_heard:
        print("every device that spoke is registered, every registered one has spoken")


def _named(one: Unknown | Device) -> tuple[str, str, str]:
    return printable(one.device), one.kind, key_with_name(one.place, one.place)


def _show_rows(title: str, heads: tuple[str, ...], rows: list[tuple[str, ...]], count: int) -> None:
    from agents.commands.layout import column, fitting, show, table

    names = ("设备 device", "类别 kind", "地点 place", *heads)
    columns = [
        column(head, cells, _GIVES.get(head, 0), right=head in _COUNTS)
        for head, cells in zip(names, zip(*rows, strict=True), strict=True)
    ]
    print(title)
    show(lambda width: table(fitting(columns, width)))
    if count > len(rows):
        print(f"… and {count - len(rows):,} more: --json lists all")
