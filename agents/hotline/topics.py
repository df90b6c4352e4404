"""What a text is about and where: names of closed lists alone, so that nothing of it crosses.

Both are found by words: an operator reads the list and knows why.  A text that names two things
as strongly is decided by the order of the list, one that names two places by neither.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from agents.hotline.masking import PLACEHOLDERS
from agents.hotline.normal_form import normal_form
from schemas.places import LEVELS, ancestors, level_of, normalise


class Topic(NamedTuple):
    """A class of orders.

    Parameters
    ----------
    name
        In the words of the city, such as 内涝积水.
    code
        Its category code.
    keywords
        Words of which any speaks for this topic; the longer, the stronger.
    """

    name: str
    code: str
    keywords: tuple[str, ...]


class Topics:
    """A closed list of topics.

    Raises
    ------
    ValueError
        Where a name or code comes twice, or a topic has no keyword or an empty one.

    Examples
    --------
    >>> water = Topic("停水", "0807", ("停水", "没有水", "水压"))
    >>> flood = Topic("内涝积水", "0803", ("积水", "内涝", "水浸"))
    >>> topics = Topics([water, flood])
    >>> topics.find("隧道口水浸，积水很深，水压也低").name
    '内涝积水'
    >>> topics.find("谢谢") is None
    True
    """

    __slots__ = ("_words", "topics")

    def __init__(self, topics: Iterable[Topic]) -> None:
        self.topics = tuple(topics)
        for what, values in (
            ("name", [topic.name for topic in self.topics]),
            ("code", [topic.code for topic in self.topics]),
        ):
            twice = next((v for k, v in enumerate(values) if v in values[:k]), None)
            if twice is not None:
                raise ValueError(f"topics: {what} {twice} comes twice: give each topic its own")
        self._words = [(topic, _keywords(topic)) for topic in self.topics]

    def find(self, masked: str) -> Topic | None:
        """The topic whose keywords say most of a masked text, None where none says anything.

        Each keyword counts once, with its length in characters; of two topics that are even the
        one whose longest keyword is longer is taken, then the one that stands first in the list.
        """
        for placeholder in PLACEHOLDERS.values():
            masked = masked.replace(placeholder, "\n")
        text = _folded(masked)
        best, most = None, (0, 0)
        for topic, words in self._words:
            sizes = [len(word) for word in words if word in text]
            if sizes:
                said = (sum(sizes), max(sizes))
                if said > most:
                    best, most = topic, said
        return best


def _keywords(topic: Topic) -> tuple[str, ...]:
    words = tuple(dict.fromkeys(_folded(word) for word in topic.keywords))
    if not words or "" in words:
        raise ValueError(
            f"topics: {topic.name} has no or an empty keyword: give it words, or drop it"
        )
    return words


def _folded(text: str) -> str:
    return normal_form(text).plain.casefold()


class Places:
    """Names of districts and streets, to refine a place that is coarser than a street.

    Parameters
    ----------
    names
        Place codes by name, or pairs of both where one name belongs to several places.

    Raises
    ------
    ValueError
        Where a name is empty or a code is not that of a place.

    Examples
    --------
    >>> places = Places({"白云区": "440111", "石井街道": "440111019", "天河区": "440106"})
    >>> places.find("白云区石井街道路灯不亮", "4401"), places.find("白云区路灯不亮", "4401")
    ('440111019', '440111')
    >>> places.find("从天河区到白云区的公交", "4401") is None
    True
    """

    __slots__ = ("_codes",)

    def __init__(self, names: Mapping[str, str] | Iterable[tuple[str, str]]) -> None:
        codes: dict[str, list[str]] = {}
        for name, code in names.items() if isinstance(names, Mapping) else names:
            folded = _folded(name)
            if not folded:
                raise ValueError(f"places: the name of {code} is empty: give it one, or drop it")
            try:
                of_name = codes.setdefault(folded, [])
                of_name += [place for place in (normalise(code),) if place not in of_name]
            except ValueError as error:
                raise ValueError(f"places: the code of {name} {error}") from None
        # Longest first: the name of a street may hold that of another.
        self._codes = sorted(codes.items(), key=lambda item: (-len(item[0]), item[0]))

    def find(self, text: str, within: str) -> str | None:
        """The place inside ``within`` that a text names.

        Parameters
        ----------
        text
            Masked or not.
        within
            A normalised place code.

        Returns
        -------
        str or None
            The finest place named, if all that are named inside ``within`` contain it; None where
            none is named, where they contradict each other, and where ``within`` is no coarser
            than a street.
        """
        if LEVELS.index(level_of(within)) > LEVELS.index("district"):
            return None
        text = _folded(text)
        named = []
        for name, codes in self._codes:
            if name in text:
                text = text.replace(name, "\n")
                inside = [c for c in codes if len(c) > len(within) and c.startswith(within)]
                if inside:
                    named.append(inside)
        sure = [codes[0] for codes in named if len(codes) == 1]
        for codes in named:
            if len(codes) > 1:
                # Two streets of one name: the district that is named beside it decides.
                fitting = [c for c in codes if any(c.startswith(place) for place in sure)]
                if len(fitting) != 1:
                    return None
                sure.append(fitting[0])
        finest = max(sure, key=len, default=None)
        if finest is None or not {*sure} <= {finest, *ancestors(finest)}:
            return None
        return finest
