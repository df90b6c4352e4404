"""How much of what names a person is masked, and how often something else is.

``python -m tests.hotline.masking_texts``: 40 forms of identifiers in awkward sentences, and 50
sentences with numbers that name nobody, all drawn from a seed.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from random import Random
from typing import NamedTuple

from agents.hotline.masking import Span, spans
from tests.hotline import identities as make
from tests.hotline.harmless import HARMLESS

WIDE = str.maketrans(
    "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ@.",
    "０１２３４５６７８９ＡＢＣＤＥＦＧＨＩＪＫＬＭＮＯＰＱＲＳＴＵＶＷＸＹＺ＠．",
)
NUMERALS = str.maketrans("0123456789", "零一二三四五六七八九")
SPOKEN = str.maketrans("0123456789", "洞幺两三四五六拐八勾")
FORMAL = str.maketrans("0123456789", "零壹贰叁肆伍陆柒捌玖")
CIRCLED = str.maketrans("0123456789", "⓪①②③④⑤⑥⑦⑧⑨")
UNSEEN = ("\u200b", "\u200c", "\u200d", "\ufeff", "\u2060", "\u00ad")
MARKS = (*"-－—–.．·•_/，、。；,*", " - ", "  ", "\u3000", "\t")


def cut(text: str, sizes: tuple[int, ...], mark: str) -> str:
    """The text in groups; the last takes what is left."""
    parts = []
    for size in sizes:
        parts.append(text[:size])
        text = text[size:]
    return mark.join([*parts, text])


def mixed(draw: Random, text: str) -> str:
    """Each digit in one of four scripts."""
    return "".join(c.translate(draw.choice((WIDE, NUMERALS, {}, FORMAL))) for c in text)


def wide_x(draw: Random) -> str:
    return make.identity(draw, last="X").replace("X", draw.choice("xｘＸ"))


def dialled(draw: Random, between: str = "-") -> str:
    return between.join(make.landline(draw))


def landline_in_parentheses(draw: Random) -> str:
    area, local = make.landline(draw)
    left, right = draw.choice(("()", "（）", "[]"))
    return f"{left}{area}{right}{draw.choice(('', ' '))}{local}"


def landline_from_abroad(draw: Random) -> str:
    area, local = make.landline(draw)
    prefix, mark = draw.choice(("+86", "0086", "(+86)")), draw.choice(" -")
    return f"{prefix}{mark}{area[1:]}{mark}{local[:-4]}{draw.choice(('', mark))}{local[-4:]}"


def wide_mail(draw: Random) -> str:
    name, _, domain = make.mail(draw).partition("@")
    return (
        name + draw.choice("@＠") + domain.replace(".", draw.choice(("．", "。", " . ", "[dot]")))
    )


def at(draw: Random, text: str) -> str:
    sign = draw.choice(("[at]", "(at)", "【at】", " [at] ", "（AT）", "{at}", "艾特"))
    return text.replace("@", sign)


FORMS: dict[str, tuple[str, Callable[[Random], str]]] = {
    "mobile": ("phone", make.mobile),
    "mobile +86": ("phone", lambda d: d.choice(("+86", "+86 ", "+86-", "＋86")) + make.mobile(d)),
    "mobile 0086": ("phone", lambda d: d.choice(("0086", "0086-", "0086 ")) + make.mobile(d)),
    "mobile 86": ("phone", lambda d: d.choice(("86", "86-", "(86)", "（+86）")) + make.mobile(d)),
    "mobile 0": ("phone", lambda d: "0" + make.mobile(d)),
    "mobile 3-4-4": ("phone", lambda d: cut(make.mobile(d), (3, 4), d.choice(MARKS))),
    "mobile 3-8": ("phone", lambda d: cut(make.mobile(d), (3,), d.choice("- —·"))),
    "mobile 4-3-4": ("phone", lambda d: cut(make.mobile(d), (4, 3), d.choice("- —"))),
    "mobile +86 3-4-4": (
        "phone",
        lambda d: (
            d.choice(("+86 ", "86-", "（+86）")) + cut(make.mobile(d), (3, 4), d.choice("- "))
        ),
    ),
    "mobile in brackets": (
        "phone",
        lambda d: d.choice(("({}){}", "【{}】{}", "（{}）-{}")).format(
            *cut(make.mobile(d), (3,), " ").split()
        ),
    ),
    "mobile wide": ("phone", lambda d: make.mobile(d).translate(WIDE)),
    "mobile circled": ("phone", lambda d: make.mobile(d).translate(CIRCLED)),
    "mobile numerals": ("phone", lambda d: make.mobile(d).translate(NUMERALS)),
    "mobile spoken": ("phone", lambda d: make.mobile(d).translate(SPOKEN)),
    "mobile formal": ("phone", lambda d: make.mobile(d).translate(FORMAL)),
    "mobile numerals 3-4-4": (
        "phone",
        lambda d: cut(make.mobile(d).translate(NUMERALS), (3, 4), d.choice(MARKS)),
    ),
    "mobile mixed": ("phone", lambda d: mixed(d, make.mobile(d))),
    "mobile unseen": ("phone", lambda d: d.choice(UNSEEN).join(make.mobile(d))),
    "mobile spaced": ("phone", lambda d: d.choice((" ", "  ", "\u3000", "-")).join(make.mobile(d))),
    "mobile mixed spaced": ("phone", lambda d: " ".join(mixed(d, make.mobile(d)))),
    "landline": ("phone", dialled),
    "landline plain": ("phone", lambda d: dialled(d, "")),
    "landline dashes": ("phone", lambda d: dialled(d, d.choice(("—", "－", "–", " ", " - ", "_")))),
    "landline numeral dash": ("phone", lambda d: dialled(d, "一")),
    "landline parentheses": ("phone", landline_in_parentheses),
    "landline +86": ("phone", landline_from_abroad),
    "landline wide": ("phone", lambda d: dialled(d).translate(WIDE)),
    "landline numerals": ("phone", lambda d: dialled(d, d.choice(("", "-"))).translate(NUMERALS)),
    "identity": ("identity", make.identity),
    "identity x": ("identity", lambda d: make.identity(d, last="X").lower()),
    "identity x wide": ("identity", wide_x),
    "identity 6-8-4": ("identity", lambda d: cut(make.identity(d), (6, 8), d.choice(MARKS))),
    "identity spaced": ("identity", lambda d: " ".join(make.identity(d))),
    "identity wide": ("identity", lambda d: make.identity(d).translate(WIDE)),
    "identity numerals": ("identity", lambda d: make.identity(d).translate(NUMERALS)),
    "identity unseen": ("identity", lambda d: d.choice(UNSEEN).join(make.identity(d))),
    "identity of 15": ("identity", make.old_identity),
    "card": ("card", make.card),
    "card by four": ("card", lambda d: cut(make.card(d), (4, 4, 4, 4), d.choice(" -.·\u3000"))),
    "card of 16 by four": ("card", lambda d: cut(make.card(d, 16), (4, 4, 4), d.choice(" -—"))),
    "card 6 and rest": ("card", lambda d: cut(make.card(d), (6,), d.choice(" -"))),
    "card spaced": ("card", lambda d: " ".join(make.card(d))),
    "card wide": ("card", lambda d: make.card(d).translate(WIDE)),
    "card numerals": ("card", lambda d: make.card(d).translate(NUMERALS)),
    "plate": ("plate", make.plate),
    "plate dotted": ("plate", lambda d: cut(make.plate(d), (2,), d.choice("·•.- ・"))),
    "plate small": ("plate", lambda d: make.plate(d).lower()),
    "plate wide": ("plate", lambda d: make.plate(d).translate(WIDE)),
    "plate spaced": ("plate", lambda d: " ".join(make.plate(d))),
    "plate green": ("plate", make.green_plate),
    "plate green dotted": ("plate", lambda d: cut(make.green_plate(d), (2,), d.choice("·•. "))),
    "plate special": ("plate", make.special_plate),
    "mail": ("mail", make.mail),
    "mail wide": ("mail", wide_mail),
    "mail spaced": ("mail", lambda d: make.mail(d).replace("@", d.choice((" @ ", "@ ", " ＠")))),
    "mail [at]": ("mail", lambda d: at(d, make.mail(d))),
}
"""Kind and maker by form."""

SENTENCES = (
    "{}",
    "市民反映小区暖气不热，请回电{}，谢谢。",
    "联系方式：{}（白天）",
    "来电人称是{}请尽快处理",
    "我的是{},楼下噪音扰民，已有3天",
    "1、{}；2、路灯不亮。",
    "3栋502，{}，302室，12月1日来过",
    "家住5楼 {} 3楼漏水",
    "其本人{}一直没人理",
    "那个三{}的二楼阳台",
    "记录「{}」2026-10-12 09:30",
    "多次反映【{}】没有结果\n12345没回",
    "第1次\n{}\n第2次",
    "王先生({})反映：井盖缺损",
    "尾号不详/{}/8点到9点",
    "您好!{}!在2026年10月12日报过，罚款200元。",
)


class Planted(NamedTuple):
    """A text, and where an identifier stands in it."""

    kind: str
    text: str
    start: int
    end: int


def plant(form: str, number: int, seed: int) -> Planted:
    """Text ``number`` of a form."""
    draw = Random(f"{seed}/{form}/{number}")
    kind, maker = FORMS[form]
    before, after = draw.choice(SENTENCES).split("{}")
    value = maker(draw)
    return Planted(kind, before + value + after, len(before), len(before) + len(value))


def is_missed(planted: Planted, found: list[Span]) -> bool:
    """Whether any letter, digit or numeral of the identifier is still to be seen."""
    seen = {
        place
        for place in range(planted.start, planted.end)
        if planted.text[place].isalnum() or planted.text[place] in "@"
    }
    for span in found:
        seen -= set(range(span.start, span.end))
    return bool(seen)


def harmless(number: int, form: str, seed: int) -> str:
    draw = Random(f"{seed}/{form}/{number}")
    return HARMLESS[form](draw)


class Row(NamedTuple):
    """Of one form: how many texts there were, and with how many it went wrong."""

    form: str
    texts: int
    wrong: int
    example: str


def measure_forms(per_form: int, seed: int) -> list[Row]:
    """Missed identifiers by form."""
    rows = []
    for form in FORMS:
        missed = [
            planted.text
            for planted in (plant(form, number, seed) for number in range(per_form))
            if is_missed(planted, spans(planted.text))
        ]
        rows.append(Row(form, per_form, len(missed), missed[0] if missed else ""))
    return rows


def measure_harmless(per_form: int, seed: int) -> list[Row]:
    """False masks by sentence that names nobody."""
    rows = []
    for form in HARMLESS:
        texts = [harmless(number, form, seed) for number in range(per_form)]
        masked = [text for text in texts if spans(text)]
        rows.append(Row(form, per_form, len(masked), masked[0] if masked else ""))
    return rows


def share(rows: list[Row]) -> float:
    return sum(row.wrong for row in rows) / sum(row.texts for row in rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--per-form", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    planted = measure_forms(options.per_form, options.seed)
    clean = measure_harmless(options.per_form, options.seed)
    if options.json:
        report = {
            "texts": sum(row.texts for row in planted),
            "forms": len(planted),
            "recall": 1 - share(planted),
            "harmless_texts": sum(row.texts for row in clean),
            "false_masks": share(clean),
            "missed_by_form": {row.form: row.wrong for row in planted},
            "false_by_form": {row.form: row.wrong for row in clean},
        }
        print(json.dumps(report, ensure_ascii=False, indent=1))
        return
    show("form", "missed", planted)
    show("names nobody", "masked", clean)


def show(what: str, wrong: str, rows: list[Row]) -> None:
    """Print a table; examples are synthetic, so they may be seen."""
    total = Row("all", sum(row.texts for row in rows), sum(row.wrong for row in rows), "")
    print(f"{what:28}{'texts':>8}{wrong:>8}{'share':>10}")
    for row in (*rows, total):
        part = row.wrong / row.texts
        print(f"{row.form:28}{row.texts:8}{row.wrong:8}{part:10.4%}  {row.example}".rstrip())
    print()


if __name__ == "__main__":
    main()
