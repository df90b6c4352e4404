"""Commands: what a person decides about an alert that stands."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import Meta

from schemas.diagnosis import diagnose
from schemas.event import Place, Text64
from schemas.events import LIMIT, refuse_controls
from schemas.refusal import Refused
from schemas.times import EARLIEST, LATEST

CommandKind: TypeAlias = Literal["ack", "unack", "shelve", "unshelve"]

Reason = Annotated[str, Meta(min_length=1, max_length=500)]
"""Why, in a person's own words; one line."""


class Command(msgspec.Struct, kw_only=True, gc=False, frozen=True, forbid_unknown_fields=True):
    """A person acknowledges an alert, shelves it until a time, or takes that back.

    Parameters
    ----------
    kind
        What is done.
    command_id
        A name that no other command has: one that is sent again is obeyed once.
    alert_id, rule, place
        The alert as it stands in its topic: which it is, and who judges it.
    name
        Who decides.
    reason
        Why.
    until
        The limit of a shelve, in event time, int64 ms UTC.
    """

    kind: CommandKind
    command_id: Text64
    alert_id: Text64
    rule: Text64
    place: Place | None
    name: Text64
    reason: Reason
    until: Annotated[int, Meta(ge=EARLIEST, lt=LATEST)] | None = None


_decode = msgspec.json.Decoder(Command).decode


def read_command(raw: bytes) -> Command:
    """The command of a record.

    Raises
    ------
    Refused
        With the field or byte, and what to do; it repeats nothing of the record.

    Examples
    --------
    >>> raw = b'{"kind":"ack","command_id":"c1","alert_id":"5f2b","rule":"drain.depth"'
    >>> read_command(raw + b',"place":"4401","name":"duty desk","reason":"pumps sent"}').kind
    'ack'
    >>> read_command(raw + b',"place":"4401","reason":"pumps sent"}')
    Traceback (most recent call last):
    Refused: `$.name` is absent: the schema requires it
    """
    if len(raw) > LIMIT:
        raise Refused("too_large", f"byte {LIMIT}", "is beyond the 64 KiB of a record: shorten it")
    try:
        command = _decode(raw)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        refused = diagnose(error, raw, Command)
    else:
        require_sound(command)
        return command
    # Outside the except block, so that the decoder's words do not hang on as __context__.
    raise refused


def require_sound(command: Command) -> None:
    """Refuse what the types of the fields do not.

    Raises
    ------
    Refused
        A text is blank or holds a control character, or the limit does not go with the kind.
    """
    refuse_controls(command)
    for field in ("command_id", "name", "reason"):
        if not getattr(command, field).strip():
            raise Refused("out_of_bounds", f"$.{field}", "is blank: say it in words")
    if command.kind == "shelve" and command.until is None:
        raise Refused("missing_field", "$.until", "is absent: a shelve has a limit")
    if command.kind != "shelve" and command.until is not None:
        raise Refused("inconsistent", "$.until", "goes with a shelve alone: leave it out")
