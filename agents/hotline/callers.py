"""Callers as keyed hashes: the same caller is recognised, and never named (rule R9).

The key changes with the local calendar month of the event's time, so that no list of hashes
follows a caller for longer than a month and a key that leaks opens one month.  Over the border of
a month a repeat is recognised with the hash under the month before.
"""

from __future__ import annotations

import re
from datetime import datetime
from hashlib import blake2b
from zoneinfo import ZoneInfo

from agents.hotline.identifiers import is_mobile
from agents.hotline.normal_form import normal_form

HASH_BYTES = 16
"""Two of 100 million callers share a hash with a chance below 1e-22."""

MIN_SECRET_BYTES = 16
"""Below this a secret could be found by trial (proposal: 32 random bytes)."""

_NUMBER = re.compile(r"[\s+()\[\].·/_-]*+(?:[0-9][\s+()\[\].·/_-]*+)++")
_WITHHELD = frozenset({"", "匿名", "未知", "保密", "无", "隐藏", "anonymous", "unknown", "private"})


class CallerKeys:
    """The keys of all months, derived from one secret.

    Parameters
    ----------
    secret
        At least 16 bytes; whoever has it can try numbers, so it stands in no log and no state.
    zone
        Name of the city's time zone, which decides in which month an event lies.

    Raises
    ------
    ValueError
        Where the secret is too short.

    Examples
    --------
    >>> keys = CallerKeys(b"sixteen bytes or more", "Asia/Shanghai")
    >>> keys.hash("+86 161-0000-0000", 1_791_800_000_000)
    '107869beb5f3e14b803cc9bf78147ff8'
    >>> keys.hash("１６１００００００００", 1_791_800_000_000)
    '107869beb5f3e14b803cc9bf78147ff8'
    >>> keys.hash("匿名", 1_791_800_000_000) is None
    True
    """

    __slots__ = ("_months", "_secret", "_zone")

    def __init__(self, secret: bytes, zone: str) -> None:
        if len(secret) < MIN_SECRET_BYTES:
            raise ValueError(
                f"the secret of the callers' hashes has {len(secret)} bytes: "
                f"give at least {MIN_SECRET_BYTES} random ones"
            )
        # A key of BLAKE2b has at most 64 bytes, a secret any number.
        self._secret = blake2b(secret, digest_size=64, person=b"callers").digest()
        self._zone = ZoneInfo(zone)
        self._months: dict[int, bytes] = {}

    def hash(self, caller: str, t: int) -> str | None:
        """Hash a caller under the key of the month in which ``t`` (int64 ms UTC) lies.

        Returns
        -------
        str or None
            32 hexadecimal digits; None for a caller who withheld the number, for all of those
            would be one.
        """
        return self._caller(caller, self._month(t))

    def hash_before(self, caller: str, t: int) -> str | None:
        """Hash a caller as an event of the month before that of ``t`` was hashed."""
        return self._caller(caller, self._month(t) - 1)

    def hash_source(self, caller_hash: str, t: int) -> str | None:
        """Hash what the source itself made of a caller: its identifier does not cross either."""
        return self._source(caller_hash, self._month(t))

    def hash_source_before(self, caller_hash: str, t: int) -> str | None:
        """Hash the source's identifier as an event of the month before ``t`` was hashed."""
        return self._source(caller_hash, self._month(t) - 1)

    def _caller(self, caller: str, month: int) -> str | None:
        name = canonical(caller)
        return None if name is None else self._hash(b"caller", name, month)

    def _source(self, caller_hash: str, month: int) -> str | None:
        name = caller_hash.strip()
        return self._hash(b"source", name, month) if name else None

    def _hash(self, person: bytes, name: str, month: int) -> str:
        key = self._months.get(month)
        if key is None:
            data = month.to_bytes(8, "big", signed=True)
            key = blake2b(data, key=self._secret, digest_size=32, person=b"month").digest()
            # Events lie in few months: this one, the one before, those of a replay.
            if len(self._months) >= 64:
                self._months.clear()
            self._months[month] = key
        # Text may hold lone surrogates, which UTF-8 alone refuses.
        data = name.encode("utf-8", "surrogatepass")
        return blake2b(data, key=key, digest_size=HASH_BYTES, person=person).hexdigest()

    def _month(self, t: int) -> int:
        """Months since year 0, local."""
        local = datetime.fromtimestamp(t // 1000, self._zone)
        return local.year * 12 + local.month - 1


def canonical(caller: str) -> str | None:
    """One spelling for one caller: digits of a number, or the account without its case.

    Returns
    -------
    str or None
        None where no caller is named.

    Examples
    --------
    >>> canonical("0086 (161) 0000-0000"), canonical("幺六幺00000000"), canonical("U-1024 ")
    ('16100000000', '16100000000', 'u-1024')
    >>> canonical("+86 20 8000 0000"), canonical("020-80000000")
    ('02080000000', '02080000000')
    """
    normal = normal_form(caller)
    account = normal.plain.strip().casefold()
    if account in _WITHHELD:
        return None
    if _NUMBER.fullmatch(normal.digits) is None:
        return account
    digits = "".join(character for character in normal.digits if "0" <= character <= "9")
    if digits.startswith("0086"):
        digits = digits[2:]
    national = digits[2:]
    if digits.startswith("86") and len(digits) in (12, 13, 14):
        # The trunk 0 is left out behind +86, and sometimes is not.
        if is_mobile(national) or national.startswith("0"):
            digits = national
        elif len(digits) == 12 or national[0] != "1":
            digits = "0" + national
    return digits[1:] if digits[0] == "0" and is_mobile(digits[1:]) else digits
