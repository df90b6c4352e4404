"""Whether a sign that reads events fits their fields: match, aggregate, unit, coverage, limit."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from schemas.durations import whole_ms
from schemas.fields import COUNTED, fields_of
from schemas.findings import Finding, Path
from schemas.metrics import Metrics
from schemas.signs import EventSign, HistorySign, SampledSign, WindowSign
from schemas.spelling import guess
from schemas.words import TOPIC_OF, Condition, Range, Stream

_KEEPING_UNIT = ("sum", "mean", "min", "max", "peak", "last", "stddev", "quantile", "leq")
_SAMPLED = ("ratio", "sum", "mean", "max", "min", "count", "quantile", "online", "share", "hits")
_CONDITIONAL = ("share", "hits")
_DIVIDING = ("ratio", "max", "min")


def check_reading(
    sign: EventSign | HistorySign, kinds: Collection[str] | None, metrics: Metrics
) -> Iterator[Finding]:
    """What is wrong with what a sign reads, by paths inside the sign.

    Parameters
    ----------
    kinds
        Kinds of the topics there are; None where they can not be told.
    metrics
        Of the configuration.
    """
    kind = TOPIC_OF[sign.topic]
    if kinds is not None and kind not in kinds:
        yield ("topic",), f"no topic of kind '{kind}' is listed under topics"
    yield from _match(sign, metrics)
    yield from _coverage(sign)
    if isinstance(sign, HistorySign):
        yield from _repeats(sign)
        return
    yield from _aggregate(sign, metrics)
    yield from _unit(sign, metrics)
    if isinstance(sign, SampledSign):
        yield from _sampled(sign)
    elif sign.topic == "orders":
        yield ("topic",), "open orders are sampled: use kind: sampled, or topic: hotline for steps"
    elif isinstance(sign, WindowSign) and sign.limit is not None:
        yield from _limit(sign)


def _sampled(sign: SampledSign) -> Iterator[Finding]:
    function = sign.aggregate.function
    if function not in _SAMPLED:
        message = f"a sampled sign takes one of {', '.join(_SAMPLED)}"
        yield ("aggregate", "function"), message
    if sign.topic in ("arrivals", "orders", "external"):
        if sign.period_s is not None:
            yield ("period_s",), f"{sign.topic} have no period of their own: remove it"
    elif sign.period_s is None:
        yield ("period_s",), "is missing: how often does a device report?"
    elif whole_ms(sign.period_s) is None:
        yield ("period_s",), "expected a whole number of milliseconds"
    if (function == "online") != (sign.topic == "arrivals"):
        yield ("aggregate", "function"), "arrivals are sampled by online, and by nothing else"
    if function == "quantile" and sign.topic != "orders":
        yield ("aggregate", "function"), "a quantile is sampled of orders alone"


def _limit(sign: WindowSign) -> Iterator[Finding]:
    if sign.rollup == "merge":
        yield ("limit",), "belongs to single keys: use rollup: max, min, mean or none"
    if sign.topic not in ("sensor", "traffic"):
        yield ("limit",), f"the register has no limits for {sign.topic} events: remove it"
    if sign.base not in ("station", "site", "device"):
        yield ("limit",), f"the register has no limits of a {sign.base}: use base: site or station"


def _repeats(sign: HistorySign) -> Iterator[Finding]:
    known = fields_of(sign.topic)
    if sign.topic != "hotline":
        yield ("topic",), "a history is kept of hotline events alone"
    if whole_ms(sign.repeats.within_s) is None:
        yield ("repeats", "within_s"), "expected a whole number of milliseconds"
    for i, names in enumerate(sign.repeats.of):
        for j, name in enumerate(names):
            if name not in known:
                message = f"{sign.topic} events have no field '{name}'{guess(name, known)}"
                yield ("repeats", "of", i, j), message


def _match(sign: EventSign | HistorySign, metrics: Metrics) -> Iterator[Finding]:
    yield from _conditions(sign.topic, sign.match, ("match",), metrics)


def _conditions(
    topic: Stream, wanted_of: Mapping[str, Condition], at: Path, metrics: Metrics
) -> Iterator[Finding]:
    known = fields_of(topic)
    for name, wanted in wanted_of.items():
        path: Path = (*at, name)
        if name not in known:
            yield path, f"{topic} events have no field '{name}' to match{guess(name, known)}"
            continue
        field = known[name]
        if name in COUNTED:
            yield path, f"field '{name}' can only be counted: aggregate it with distinct"
            continue
        if isinstance(wanted, Range):
            if field.shape != "number":
                yield path, f"field '{name}' holds no numbers: a range of them can not be matched"
            continue
        if isinstance(wanted, list) and not wanted:
            yield path, "an empty list matches nothing: give at least one value"
        values = wanted if isinstance(wanted, list) else [wanted]
        shape = {str: "text", bool: "flag", float: "number", int: "number"}
        if any(shape[type(value)] != field.shape for value in values):
            expected = {"flag": "true or false", "number": "a number", "text": "text in quotes"}
            yield path, f"field '{name}' takes {expected[field.shape]}"
            continue
        for value in map(str, values if field.shape == "text" else ()):
            if name == "metric" and value not in metrics:
                yield path, f"unknown metric '{value}'{guess(value, metrics)}"
            elif field.choices and value not in field.choices:
                choices = ", ".join(field.choices)
                yield path, f"field '{name}' is never '{value}': use one of {choices}"


def _aggregate(sign: EventSign, metrics: Metrics) -> Iterator[Finding]:
    aggregate, function = sign.aggregate, sign.aggregate.function
    known = fields_of(sign.topic)
    for which, name in (("of", aggregate.of), ("over", aggregate.over)):
        if name is None:
            continue
        if name not in known:
            message = f"{sign.topic} events have no field '{name}' to aggregate"
            yield ("aggregate", which), message + guess(name, known)
        elif known[name].shape != "number" and function != "distinct":
            yield ("aggregate", which), f"field '{name}' holds no numbers to aggregate"
    if function in ("count", "tpi", "online"):
        if aggregate.of is not None:
            yield ("aggregate", "of"), f"{function} takes no field: remove of"
    elif function == "distinct" and aggregate.of is None:
        yield ("aggregate",), "distinct needs of: the field whose values are counted"
    elif function not in ("rate", *_CONDITIONAL) and sign.reads is None:
        yield ("aggregate",), f"{function} needs of: the field to aggregate"
    yield from _where(sign, metrics)
    if function == "tpi" and sign.topic != "traffic":
        yield ("aggregate", "function"), "tpi reads topic: traffic"
    if function == "leq" and sign.match.get("metric") not in ("laeq", "lamax"):
        yield ("aggregate", "function"), "leq reads levels in dB: match metric: laeq or lamax"
    if function == "quantile" and aggregate.q is None:
        yield ("aggregate",), "quantile needs q"
    elif function != "quantile" and aggregate.q is not None:
        yield ("aggregate", "q"), "is for quantile alone: remove it"
    if function == "ratio" and aggregate.over is None:
        yield ("aggregate",), "ratio needs over"
    elif function not in _DIVIDING and aggregate.over is not None:
        yield ("aggregate", "over"), f"is for {', '.join(_DIVIDING)} alone: remove it"


def _where(sign: EventSign, metrics: Metrics) -> Iterator[Finding]:
    aggregate, function = sign.aggregate, sign.aggregate.function
    if function in _CONDITIONAL:
        if not aggregate.where:
            yield ("aggregate",), f"{function} needs where: a field and what it must be"
        if aggregate.of is not None:
            yield ("aggregate", "of"), f"{function} reads the fields of where: remove of"
    elif aggregate.where is not None and function != "distinct":
        yield ("aggregate", "where"), "is for share, hits and distinct alone: remove it"
    if aggregate.among is not None and function != "share":
        yield ("aggregate", "among"), "is for share alone: remove it"
    for which, wanted in (("where", aggregate.where), ("among", aggregate.among)):
        yield from _conditions(sign.topic, wanted or {}, ("aggregate", which), metrics)


def _unit(sign: EventSign, metrics: Metrics) -> Iterator[Finding]:
    if sign.topic != "sensor" or sign.reads != "value":
        return
    wanted = sign.match.get("metric")
    if wanted is None:
        yield ("match",), "values of different metrics do not mix: give metric"
        return
    codes = wanted if isinstance(wanted, list) else [wanted]
    units = {metrics[code].unit for code in codes if isinstance(code, str) and code in metrics}
    if len(units) > 1:
        message = f"metrics of different units do not mix: {', '.join(sorted(units))}"
        yield ("match", "metric"), message
    elif units and _keeps_unit(sign):
        unit = units.pop()
        if sign.unit != unit:
            yield ("unit",), f"the metric comes in {unit}: use that unit, or a scale"


def _keeps_unit(sign: EventSign) -> bool:
    # A limit is in the unit of what is held against it.
    keeps = sign.aggregate.function in _KEEPING_UNIT and sign.aggregate.scale == 1
    limit = sign.limit if isinstance(sign, WindowSign) else None
    return keeps and (limit is None or limit.how == "excess")


def _coverage(sign: EventSign | HistorySign) -> Iterator[Finding]:
    if sign.coverage is None:
        return
    if sign.coverage.by in ("time", "devices") and sign.coverage.at_least > 1:
        message = f"a share of {sign.coverage.by} is at most 1: write 0.75 for 75 %"
        yield ("coverage", "at_least"), message
    if sign.coverage.by == "time" and sign.topic not in ("sensor", "traffic"):
        message = f"{sign.topic} events cover no time: use samples"
        yield ("coverage", "by"), message
