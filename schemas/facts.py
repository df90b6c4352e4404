"""What events say past intake, where that is less, or more, than stood in the record."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from schemas.event import DaySeconds, Share
from schemas.hotline import HotlineEvent

_Age = Annotated[float, Meta(ge=-4e9, le=4e9)]

Status = Literal[
    "created",
    "dispatched",
    "accepted",
    "returned",
    "in_progress",
    "delayed",
    "supervised",
    "replied",
    "closed",
    "evaluated",
    "reopened",
    "merged",
    "withdrawn",
    "archived",
]
System = Literal["12345", "cgj", "grid", "safety", "12315", "zz", "app"]
OrderType = Literal["consult", "help", "complaint", "report", "suggestion"]
Urgency = Literal["normal", "urgent", "critical"]


class HotlineFact(msgspec.Struct, kw_only=True, gc=False):
    """A step of an order or a call, without text, caller and reason (rule R9).

    Parameters
    ----------
    category
        Finest class of the order: its own, or the topic its text was found to be about.
    citizen
        Keyed hash of the caller.
    citizens_before
        The same under the keys of the months before, as far back as repeats are looked for.
    flag
        ``illegal``, ``out_of_order``, ``skipped`` or ``unseen_start`` where the step is not as it
        should be, else ``none``.
    on_time
        Of an order that closes: 1 where that is before it is due, else 0; None without a due time.
    since_created_s
        Seconds since the order was created.
    """

    kind: Literal["order", "call"]
    system: System = "12345"
    status: Status | None = None
    type: OrderType | None = None
    urgency: Urgency = "normal"
    channel: (
        Literal["phone", "app", "wechat", "web", "email", "grid", "camera", "media", "other"] | None
    ) = None
    place: str
    place_precision: (
        Literal["point", "grid", "community", "street", "district", "unknown"] | None
    ) = None
    category: str | None = None
    category_code: str | None = None
    department: str | None = None
    by: Literal["auto", "human"] | None = None
    confidence: Share | None = None
    sentiment: Annotated[float, Meta(ge=-1, le=1)] | None = None
    satisfied: bool | None = None
    resolved: bool | None = None
    score: Annotated[int, Meta(ge=1, le=5)] | None = None
    wait_s: DaySeconds | None = None
    answered: bool | None = None
    talk_s: DaySeconds | None = None
    citizen: str | None = None
    citizens_before: tuple[str, ...] = ()
    flag: Literal["none", "illegal", "out_of_order", "skipped", "unseen_start"] = "none"
    on_time: Share | None = None
    since_created_s: _Age | None = None


COPIED = tuple(
    name for name in HotlineFact.__struct_fields__ if name in HotlineEvent.__struct_fields__
)
"""Fields that a fact takes from the event as they are; `category` is a path there."""


class Arrival(msgspec.Struct, kw_only=True, gc=False):
    """A record of a sensor topic as it came: sound, late or refused.

    Parameters
    ----------
    device, metric, platform, place, site, site_type
        Of the record, as far as they are legible; else of the register.
    registered
        Whether the register lists the device.
    valid
        1 where the record passed the gate and its quality is not bad, else 0; None where the
        device was being calibrated or maintained.
    lateness_s
        Seconds from the event to its arrival at the platform or, where the event does not say,
        in the log; None where the time can not be read.
    """

    device: str
    metric: str | None
    platform: str | None
    place: str
    site: str | None
    site_type: str | None
    registered: bool
    valid: Share | None
    lateness_s: _Age | None


class OrderFact(msgspec.Struct, kw_only=True, gc=False):
    """An order that is open at a hop.

    Parameters
    ----------
    past_due
        Whether its due time is over.
    age_h
        Hours since it was created.
    """

    system: System
    type: OrderType | None
    urgency: Urgency
    place: str
    category: str | None
    department: str | None
    past_due: bool
    age_h: _Age


STREAMS: dict[str, type[msgspec.Struct]] = {
    "hotline": HotlineFact,
    "arrivals": Arrival,
    "orders": OrderFact,
}
"""What signs of these streams read; those of other streams read the event itself."""
