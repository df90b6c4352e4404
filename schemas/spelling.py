"""What a person may have meant by a word that is not known."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def guess(word: str, known: Iterable[str]) -> str:
    """A question for a person who may have meant a known word, or nothing.

    >>> guess("windw", ["window", "unit"])
    ": did you mean 'window'?"
    """
    close = get_close_matches(word, list(known), n=1)
    return f": did you mean '{close[0]}'?" if close else ""
