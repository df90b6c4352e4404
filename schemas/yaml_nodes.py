"""The nodes of a YAML 1.2 document, each with the line and column where it is written.

The parser is libyaml; tags of plain scalars are those of the core schema, and dates, which are
refused elsewhere, are told from text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import yaml

TAG = "tag:yaml.org,2002:"
DEEPEST = 32
"""Levels of nesting."""

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_PLAIN = (
    ("null", re.compile("~|null|Null|NULL|")),
    ("bool", re.compile("true|True|TRUE|false|False|FALSE")),
    ("int", re.compile("[-+]?0b[01_]+|[-+]?0o?[0-7_]+|[-+]?[0-9_]+|[-+]?0x[0-9a-fA-F_]+")),
    (
        "float",
        re.compile(
            r"[-+]?[0-9][0-9_]*\.[0-9_]*(?:[eE][-+]?[0-9]+)?|[-+]?[0-9][0-9_]*[eE][-+]?[0-9]+"
            r"|[-+]?\.[0-9_]+(?:[eE][-+][0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"
        ),
    ),
    (
        "timestamp",
        re.compile(
            r"\d{4}-\d\d-\d\d|\d{4}-\d\d?-\d\d?(?:[Tt]|[ \t]+)\d\d?:\d\d:\d\d(?:\.\d*)?"
            r"(?:[ \t]*(?:Z|[-+]\d\d?(?::\d\d)?))?"
        ),
    ),
    ("merge", re.compile("<<")),
)
"""Which scalars without quotes are no text, in this order."""
_FIRST = frozenset("-+.0123456789~ntfNTF<")
"""With which these begin, but for the empty one."""


@dataclass(eq=False, slots=True)
class Scalar:
    tag: str
    value: str
    line: int
    column: int


@dataclass(eq=False, slots=True)
class Sequence:
    tag: str
    value: list[Node]
    line: int
    column: int


@dataclass(eq=False, slots=True)
class Mapping:
    tag: str
    value: list[tuple[Node, Node]]
    line: int
    column: int


Node: TypeAlias = Scalar | Sequence | Mapping


class TooDeepError(ValueError):
    """A collection is nested deeper than `DEEPEST` levels; ``line`` and ``column`` from 1."""

    def __init__(self, line: int, column: int) -> None:
        super().__init__(line, column)
        self.line, self.column = line, column


def compose(text: str) -> Node | None:
    """The root of the only document of a text; None where there is none.

    Raises
    ------
    yaml.YAMLError
        It is no YAML, or more than one document.
    TooDeepError
    """
    events = yaml.parse(text, Loader=_Loader)
    root: Node | None = None
    for event in events:
        if isinstance(event, yaml.DocumentStartEvent):
            if root is not None:
                raise _fault("expected a single document", "found another", event)
            root = _node(events)
    return root


def _node(events: Iterator[Any]) -> Node:
    """The node that comes next, with all in it."""
    anchors: dict[str, Node] = {}
    outer: list[tuple[Sequence | Mapping, list[Node]]] = []
    """Collections that are open, with the nodes that they have so far."""
    for event in events:
        if isinstance(event, yaml.CollectionEndEvent):
            made, nodes = outer.pop()
            if isinstance(made, Mapping):
                made.value.extend(zip(nodes[::2], nodes[1::2], strict=True))
            else:
                made.value.extend(nodes)
            if not outer:
                return made
            continue
        node = _begun(event, anchors)
        if outer:
            outer[-1][1].append(node)
        if isinstance(event, yaml.CollectionStartEvent) and not isinstance(node, Scalar):
            if len(outer) > DEEPEST:
                raise TooDeepError(node.line, node.column)
            outer.append((node, []))
        elif not outer:
            return node
    raise AssertionError("a document ends before its node")


def _begun(event: Any, anchors: dict[str, Node]) -> Node:
    if isinstance(event, yaml.AliasEvent):
        if event.anchor not in anchors:
            raise _fault(None, f"found undefined alias {event.anchor!r}", event)
        return anchors[event.anchor]
    mark, given = event.start_mark, None if event.tag == "!" else event.tag
    at = mark.line + 1, mark.column + 1
    node: Node
    if isinstance(event, yaml.ScalarEvent):
        plain = given is None and event.implicit[0]
        node = Scalar(given or (_tag_of(event.value) if plain else f"{TAG}str"), event.value, *at)
    elif isinstance(event, yaml.SequenceStartEvent):
        node = Sequence(given or f"{TAG}seq", [], *at)
    else:
        node = Mapping(given or f"{TAG}map", [], *at)
    if event.anchor is not None:
        anchors[event.anchor] = node
    return node


def _fault(context: str | None, problem: str, event: Any) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(context, None, problem, event.start_mark)


def _tag_of(plain: str) -> str:
    """The tag of a scalar without quotes.

    >>> [_tag_of(text).removeprefix(TAG) for text in ("0x1F", "1e3", "on", "", "2026-03-01")]
    ['int', 'float', 'str', 'null', 'timestamp']
    """
    if not plain or plain[0] in _FIRST:
        for name, pattern in _PLAIN:
            if pattern.fullmatch(plain):
                return f"{TAG}{name}"
    return f"{TAG}str"
