"""``cityvitals deadletter``: refused records, looked at and taken back."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import msgspec
import orjson
import typer

from agents.commands.exits import BAD, FINDING, Fault, complain, guarded
from agents.commands.kafka_options import Data, KafkaConfig
from agents.commands.options import FOLDER, Json
from agents.commands.options import Data as Folder
from agents.commands.wording import moment, printable
from schemas.spelling import guess

if TYPE_CHECKING:
    from rich.text import Text

    from agents.commands.sources import Source
    from schemas.deadletter import DeadLetter
    from streams.log_transaction import Transaction

ATTEMPTS = 3
"""How often a record is tried in all."""

_TOPIC = "city.deadletter.v1"
_SHOWN_KINDS = ("sensor", "traffic")

app = typer.Typer(
    no_args_is_help=True, help="Refused records: list them, show one, take them back."
)

Where = Annotated[str, typer.Argument(help="Where it stands.", metavar="TOPIC/PARTITION/OFFSET")]
Reason = Annotated[
    str | None,
    typer.Option("--reason", help="Only letters of this reason, such as bad_time.", metavar="CODE"),
]


class Letter(NamedTuple):
    """A dead letter: its bytes, what they say, and where it was redriven to."""

    raw: bytes
    said: DeadLetter
    redriven: str | None

    @property
    def where(self) -> str:
        return f"{self.said.topic}/{self.said.partition}/{self.said.offset}"


@app.command("list")
@guarded
def list_letters(
    data: Data = None, config: KafkaConfig = None, reason: Reason = None, as_json: Json = False
) -> None:
    """List the records that were refused, and why.

    **Examples**

    - `cityvitals deadletter list`

    - `cityvitals deadletter list --reason bad_time --json | jq -r .hint`

    - `cityvitals deadletter list --config kafka.yaml`
    """
    from agents.commands.sources import reading

    with reading(data, config) as source:
        letters, zone = _letters(source, reason), source.about.zone
    if as_json:
        sys.stdout.buffer.write(b"".join(letter.raw + b"\n" for letter in letters))
    elif letters:
        _show_list(letters, zone)
    else:
        complain("no dead letters" if reason is None else f"no dead letters of reason {reason}")


@app.command("show")
@guarded
def show(
    where: Where, data: Data = None, config: KafkaConfig = None, as_json: Json = False
) -> None:
    """Show a dead letter and, for readings and observations, the record itself.

    What citizens told the hotline is personal: such a record is never shown.

    **Examples**

    - `cityvitals deadletter show city.sensor.v1/2/1047`
    """
    from agents.commands.sources import reading

    with reading(data, config) as source:
        letter, zone = _letter_at(_letters(source, None), where), source.about.zone
        said = letter.said
        if source.about.kinds.get(said.topic) in _SHOWN_KINDS:
            record = source.record(said.topic, said.partition, said.offset)
            raw = None if record is None else record.value.decode(errors="backslashreplace")
            note = "no longer retained" if raw is None else ""
        else:
            raw, note = None, "not shown: it may hold what is personal"
    fields: dict[str, Any] = orjson.loads(letter.raw)
    if as_json:
        fields |= {"redriven": letter.redriven, "record": raw}
        print(orjson.dumps(fields).decode())
        return
    for name, value in fields.items():
        local = f" ({moment(value, zone)})" if name == "timestamp" else ""
        print(f"{name:10} {printable(str(value))}{local}")
    if letter.redriven:
        print(f"{'redriven':10} {letter.redriven}")
    print(f"{'record':10} {note if raw is None else printable(raw)}")


@app.command("redrive")
@guarded
def redrive(
    places: Annotated[
        list[str] | None,
        typer.Argument(help="Where they stand.", metavar="TOPIC/PARTITION/OFFSET…"),
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="All that were not redriven yet.")
    ] = False,
    data: Folder = FOLDER,
    reason: Reason = None,
    as_json: Json = False,
) -> None:
    """Take refused records back: each goes to the end of its lane, as it is.

    That helps where the refusal had a cause outside the record, such as an older build or
    configuration. A record is tried 3 times in all, and must still be in the log. Works while an
    engine runs.

    **Examples**

    - `cityvitals deadletter redrive city.sensor.v1/2/1047`

    - `cityvitals deadletter redrive --all --reason unknown_metric`
    """
    from agents.commands.folder import is_running, opened
    from agents.commands.sources import REDRIVEN, FolderSource

    if bool(places) == everything:
        raise Fault(BAD, "name the letters as TOPIC/PARTITION/OFFSET, or all of them with --all")
    taken: dict[str, str] = {}
    refused: dict[str, str] = {}
    with opened(data) as store, store.transaction() as tx:
        source = FolderSource(store)
        letters = _letters(source, reason)
        if everything:
            chosen = [letter for letter in letters if letter.redriven is None]
        else:
            chosen = [_letter_at(letters, where) for where in dict.fromkeys(places or ())]
        for letter in chosen:
            try:
                taken[letter.where] = _take_back(source, tx, letter)
            except Fault as fault:
                refused[letter.where] = str(fault)
        if taken:
            kept = {letter.where: letter.redriven for letter in _letters(source, None)}
            known = {where: to for where, to in kept.items() if to is not None}
            tx.set_meta(REDRIVEN, orjson.dumps(known | taken))
        running = is_running(data)
    _report(taken, refused, as_json=as_json)
    if taken and not running:
        complain(f"no engine runs on {data}: it reads them at its next start (`cityvitals up`)")
    if refused:
        raise typer.Exit(FINDING)


def _letters(source: Source, reason: str | None) -> list[Letter]:
    from schemas.deadletter import DeadLetter
    from schemas.refusal import CODES

    if reason is not None and reason not in CODES:
        raise Fault(
            BAD, f"{reason} is no reason{guess(reason, CODES) or ';'} there are {', '.join(CODES)}"
        )
    redriven = source.redriven
    letters = []
    for record in source.records(_TOPIC):
        said = msgspec.json.decode(record.value, type=DeadLetter)
        if reason in (None, said.reason):
            to = redriven.get(f"{said.topic}/{said.partition}/{said.offset}")
            letters.append(Letter(record.value, said, to))
    return letters


def _letter_at(letters: list[Letter], where: str) -> Letter:
    for letter in letters:
        if letter.where == where:
            return letter
    raise Fault(
        BAD, f"{where}: no dead letter stands there; `cityvitals deadletter list` names them"
    )


def _take_back(source: Source, tx: Transaction, letter: Letter) -> str:
    """Append the record again; where it stands now."""
    from agents.intake import REDRIVE_HEADER

    said = letter.said
    if letter.redriven is not None:
        raise Fault(FINDING, f"was redriven already, to {letter.redriven}")
    if said.attempt >= ATTEMPTS:
        raise Fault(FINDING, f"was tried {said.attempt} times: mend the record and send it anew")
    record = source.record(said.topic, said.partition, said.offset)
    if record is None:
        raise Fault(FINDING, "is no longer in the log: send it anew from its source")
    header = ((REDRIVE_HEADER, str(said.attempt).encode()),)
    lane = (said.topic, said.partition)
    offset = tx.append(*lane, [record.timestamp], [record.key], [record.value], header)
    return f"{said.topic}/{said.partition}/{offset}"


def _report(taken: dict[str, str], refused: dict[str, str], *, as_json: bool) -> None:
    if as_json:
        print(orjson.dumps({"redriven": taken, "refused": refused}).decode())
        return
    for where, to in taken.items():
        print(f"{where} redriven to {to}")
    for where, why in refused.items():
        complain(f"{where} {why}")
    if not taken and not refused:
        complain("nothing to redrive")


def _show_list(letters: list[Letter], zone: str) -> None:
    from agents.commands.layout import show

    show(lambda width: letter_lines(letters, zone, width))


def letter_lines(letters: list[Letter], zone: str, width: int | None) -> Iterator[Text]:
    """A line for each letter; what to do stands below it where the line has no room for that."""
    from rich.text import Text

    from agents.commands.layout import column, fitting, heads, rows

    columns = [
        column("位置 record", (letter.where for letter in letters)),
        column("时间 time", (moment(letter.said.timestamp, zone) for letter in letters), 1),
        column("原因 reason", (letter.said.reason for letter in letters)),
        column("字段 where", (printable(letter.said.where) for letter in letters)),
        column("次 attempt", (str(letter.said.attempt) for letter in letters), 2, right=True),
        column("重投 redriven to", (letter.redriven or "" for letter in letters), 3),
        column("提示 hint", (printable(letter.said.hint) for letter in letters), 4),
    ]
    kept = fitting(columns, width)
    yield from heads(kept)
    for letter, line in zip(letters, rows(kept), strict=True):
        yield line
        if len(kept) < len(columns):
            yield Text(f"    {printable(letter.said.hint)}", "dim")
            if letter.redriven:
                yield Text(f"    重投 redriven to {letter.redriven}", "dim")
