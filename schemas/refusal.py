"""Why a record was refused, in words that repeat nothing of its content (rule R9)."""

from __future__ import annotations

CODES = {
    "too_large": "the record is longer than 64 KiB",
    "not_utf8": "the bytes are not UTF-8",
    "malformed": "the record is not one JSON value",
    "not_finite": "a number is NaN or infinite, or too large for a 64-bit float",
    "wrong_type": "a value has another JSON type than its field",
    "missing_field": "a required field is absent",
    "unknown_field": "a field is not in the schema",
    "unknown_word": "a text is not one of the words its field takes",
    "out_of_bounds": "a text, number or list is beyond the bounds of its field",
    "control_character": "a text holds NUL or another control character",
    "bad_time": "a time is naive, in another unit, not RFC 3339, or out of range",
    "bad_place": "a place code has another shape than 4, 6, 9, 12 or 15 ASCII digits",
    "unknown_metric": "the metric is not in the table of metrics",
    "wrong_unit": "the unit is not the metric's unit",
    "out_of_range": "the value is beyond the metric's physical range",
    "inconsistent": "two fields contradict each other",
    "too_many_keys": "the partition has as many devices and places as its topic allows",
    "no_such_alert": "the command names an alert that does not stand",
    "alert_of_lane": "the command names an alert of a sign that input partitions finish",
    "crashed": "the record stopped a worker twice at the same offset",
}
"""Every reason for which a record can go to the dead letters."""


class Refused(ValueError):  # noqa: N818 - named by the decision, as the other outcomes are
    """A record that does not pass the gate.

    Parameters
    ----------
    code
        One of `CODES`.
    where
        The path of the field, ``$.value``, or the place in the record, ``byte 64``.
    hint
        What is wrong and what to do.

    Examples
    --------
    >>> str(Refused("bad_time", "$.t", "looks like seconds: send milliseconds"))
    '`$.t` looks like seconds: send milliseconds'
    """

    def __init__(self, code: str, where: str, hint: str) -> None:
        super().__init__(f"`{where}` {hint}")
        self.code = code
        self.where = where
        self.hint = hint

    def __reduce__(self) -> tuple[type[Refused], tuple[str, str, str]]:
        return type(self), (self.code, self.where, self.hint)
