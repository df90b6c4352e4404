"""Event times: epoch milliseconds UTC, or RFC 3339 text with an offset.

Both forms leave the gate as ``int`` milliseconds. Fractions finer than a millisecond are cut
off; the JSON decoder has rounded them to microseconds before.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

from msgspec import Meta

EARLIEST = 10**11
"""1973-03-03T09:46:40Z in ms. A number below it that is a time at all counts seconds."""

LATEST = 4_102_444_800_000
"""2100-01-01T00:00:00Z in ms, itself excluded."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

# After the gate every time is an int, so that is what readers of an event see; only the
# decoder has to know of the other form.
if TYPE_CHECKING:
    Time = int
else:
    Time = (
        Annotated[
            int,
            Meta(
                extra_json_schema={
                    "description": "epoch milliseconds UTC",
                    "minimum": EARLIEST,
                    "exclusiveMaximum": LATEST,
                }
            ),
        ]
        | Annotated[
            datetime,
            Meta(
                extra_json_schema={"format": "date-time", "description": "RFC 3339 with an offset"}
            ),
        ]
    )


def epoch_ms(value: int | datetime) -> int:
    """Return a time as epoch milliseconds UTC, floored.

    Parameters
    ----------
    value
        Epoch milliseconds, or a time with an offset.

    Raises
    ------
    ValueError
        With a hint that does not repeat the value: naive, not in 1973-03-03T09:46:40Z ..
        2100-01-01, or in another unit.

    Examples
    --------
    >>> epoch_ms(datetime.fromisoformat("2026-05-22T06:41:30.0019+08:00"))
    1779403290001
    >>> epoch_ms(1779403290)
    Traceback (most recent call last):
    ValueError: looks like seconds: send milliseconds
    """
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise ValueError("has no offset: end it in Z or in an offset such as +08:00")
        # In integers: datetime.timestamp() goes through a float.
        since = value - _EPOCH
        ms = (since.days * 86_400 + since.seconds) * 1000 + since.microseconds // 1000
        if EARLIEST <= ms < LATEST:
            return ms
    elif EARLIEST <= value < LATEST:
        return value
    elif 10**8 <= value < EARLIEST:
        raise ValueError("looks like seconds: send milliseconds")
    elif 10**14 <= value < 10**17:
        raise ValueError("looks like microseconds: send milliseconds")
    elif 10**17 <= value < 10**20:
        raise ValueError("looks like nanoseconds: send milliseconds")
    raise ValueError("is outside 1973-03-03T09:46:40Z .. 2100-01-01: send the event's own time")
