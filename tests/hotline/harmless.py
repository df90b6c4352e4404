"""Sentences with numbers that name nobody, as they stand in hotline texts."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from tests.hotline.identities import digits

Maker = Callable[[Random], str]


def day(draw: Random) -> tuple[int, int, int]:
    return draw.randint(2019, 2026), draw.randint(1, 12), draw.randint(1, 28)


def compact_day(draw: Random) -> str:
    year, month, date = day(draw)
    return f"{year}{month:02}{date:02}"


def clock(draw: Random) -> str:
    return f"{draw.randrange(24):02}:{draw.randrange(60):02}"


def grouped(draw: Random) -> str:
    """An amount with its thousands apart."""
    return f"{draw.randrange(10**4, 10**11):,}"


def some(draw: Random, low: int, high: int, count: int, mark: str) -> str:
    return mark.join(str(draw.randint(low, high)) for _ in range(count))


def room(draw: Random) -> str:
    return f"{draw.randint(1, 33)}0{draw.randint(1, 9)}"


def rooms(draw: Random) -> str:
    return "、".join(
        f"{draw.randint(1, 33)}0{draw.randint(1, 9)}" for _ in range(draw.randint(2, 6))
    )


def letters(draw: Random, count: int) -> str:
    return "".join(draw.choice("0123456789ABCDEFGHJKLMNPQRTUWXY") for _ in range(count))


HARMLESS: dict[str, Maker] = {
    "order of a day": lambda d: f"工单号{compact_day(d)}{digits(d, 6)}已转办，一直没有回复",
    "order with prefix": lambda d: f"我之前的工单GZ{compact_day(d)}-{digits(d, 8)}被退回了",
    "order of a shop": lambda d: f"网购订单编号 {digits(d, d.randint(15, 19))} 商家拒绝退款",
    "order without a word": lambda d: (
        f"查询{compact_day(d)}{digits(d, d.choice((4, 7, 9)))}的办理进度"
    ),
    "parcel": lambda d: f"快递单号：{d.choice(('SF', 'YT', 'JD', ''))}{digits(d, 13)}，三天没动",
    "document": lambda d: (
        f"穗规划资源〔{day(d)[0]}〕{d.randint(1, 9999)}号文件第{d.randint(1, 30)}条"
    ),
    "court case": lambda d: (
        f"({day(d)[0]})粤0{d.randint(101, 118)}民初{d.randint(1, 49999)}号判决没有执行"
    ),
    "deed": lambda d: f"粤({day(d)[0]})广州市不动产权第{digits(d, 8)}号",
    "day": lambda d: "{}年{}月{}日上午9点30分".format(*day(d)),
    "day with dashes": lambda d: "{}-{:02}-{:02} ".format(*day(d)) + clock(d) + ":" + digits(d, 2),
    "day with dots": lambda d: "自{}.{}.{}起".format(*day(d)) + "至{}.{}.{}止".format(*day(d)),
    "day with slashes": lambda d: "{}/{}/{} ".format(*day(d)) + f"{clock(d)}，{d.randint(1, 99)}人",
    "days of a month": lambda d: (
        f"{d.randint(1, 12)}月{some(d, 1, 31, d.randint(3, 7), '、')}号都没有水"
    ),
    "hours": lambda d: f"营业时间{clock(d)}-{clock(d)}，{clock(d)}-{clock(d)}",
    "hours without colon": lambda d: (
        f"施工时段{d.randint(6, 9):02}00-1200 1400-{d.randint(17, 22)}00"
    ),
    "numerals of a year": lambda d: (
        f"二〇二{d.choice('〇一二三四五六')}年十{d.choice('一二')}月，一、二、三期"
    ),
    "meter": lambda d: f"水表读数{digits(d, 8)}，上月{digits(d, 8)}立方",
    "household": lambda d: f"用电户号{digits(d, 10)}，表号{digits(d, 12)}",
    "gas card": lambda d: f"燃气卡号{digits(d, 10)}充不进钱",
    "amount": lambda d: f"合同价{d.randint(1000, 99999999)}元，罚款{d.randint(100, 99999)}元",
    "amount with commas": lambda d: f"拖欠工程款{grouped(d)}元，已付{grouped(d)}.50元",
    "amounts": lambda d: f"分别为{some(d, 100, 9999, d.randint(3, 6), '、')}元",
    "bills": lambda d: f"电费{some(d, 50, 900, d.randint(3, 6), '，')}，越来越高",
    "area": lambda d: (
        f"共{d.randint(10, 9999)}户，建筑面积{d.randint(100, 999999)}.{digits(d, 2)}平方米"
    ),
    "short numbers": lambda d: (
        f"拨打12345和{d.choice(('110', '119', '120', '96909', '95598'))}无人接听"
    ),
    "service numbers": lambda d: (
        f"客服{d.choice(('400', '800'))}-{digits(d, 3)}-{digits(d, 4)}一直占线"
    ),
    "bus": lambda d: f"公交车{d.randint(1, 999)}路、{d.randint(1, 999)}路、夜{d.randint(1, 99)}路",
    "train": lambda d: f"乘坐G{d.randint(1, 9999)}次，{clock(d)}到站，3号线转18号线",
    "credit code": lambda d: f"统一社会信用代码9144{digits(d, 4)}MA{letters(d, 8)}",
    "credit code of digits": lambda d: f"信用代码91440101{d.choice('17')}{digits(d, 9)}",
    "degrees": lambda d: (
        f"坐标11{d.randint(0, 9)}.{digits(d, 6)},2{d.randint(1, 4)}.{digits(d, 6)}"
    ),
    "many degrees": lambda d: f"lon=113.{digits(d, 12)} lat=23.{digits(d, 12)}",
    "stake": lambda d: (
        f"高速K{d.randint(1, 2000)}+{d.randint(0, 999):03}处，隧道{d.randint(1, 99)}米"
    ),
    "postal code": lambda d: (
        f"邮编5{digits(d, 5)}，天河路{d.randint(1, 999)}号{d.randint(1, 40)}栋"
    ),
    "house": lambda d: (
        f"中山大道{d.randint(1, 999)}号{d.randint(1, 30)}栋{d.randint(1, 9)}单元{room(d)}房"
    ),
    "house with dashes": lambda d: f"{d.randint(1, 30)}-{d.randint(1, 9)}-{room(d)}业主",
    "rooms": lambda d: f"{rooms(d)}都漏水，{rooms(d)}没有",
    "doors": lambda d: f"{some(d, 1, 199, d.randint(3, 9), '、')}号商铺占道经营",
    "odd doors": lambda d: (
        "、".join(map(str, range(1, d.choice((13, 15, 17, 19, 21)), 2))) + "号楼"
    ),
    "years": lambda d: (
        f"{d.randint(1990, 2010)}-{d.randint(2011, 2026)}年，{d.randint(1990, 2026)}年入住"
    ),
    "network": lambda d: f"监控{some(d, 1, 255, 4, '.')}离线，端口{d.randint(1, 65535)}",
    "version": lambda d: f"APP版本{some(d, 1, 19, 4, '.')}闪退，build{compact_day(d)}",
    "licence of a site": lambda d: f"粤ICP备{digits(d, 8)}号-{d.randint(1, 9)}",
    "licence of a carrier": lambda d: f"粤B2-{day(d)[0]}{digits(d, 4)}号",
    "standard": lambda d: (
        f"依据GB{d.randint(1000, 59999)}-{day(d)[0]}、GB/T {d.randint(1000, 59999)}.1"
    ),
    "noise": lambda d: f"夜间{some(d, 40, 90, d.randint(2, 6), '分贝，')}分贝",
    "scores": lambda d: f"成绩{some(d, 30, 150, 6, ' ')}，总分{d.randint(300, 750)}",
    "share": lambda d: (
        f"绿化率{d.randint(10, 40)}.{digits(d, 2)}%，容积率{d.randint(1, 6)}.5，共{digits(d, 3)}户"
    ),
    "ratio": lambda d: (
        f"{d.randint(2, 500)}人/{d.randint(2, 500)}户，停车位{d.randint(10, 3000)}个"
    ),
    "barcode": lambda d: f"商品条码69{digits(d, 11)}，生产批号{compact_day(d)}{letters(d, 2)}",
    "device": lambda d: f"路灯杆号GZ{letters(d, 4)}{digits(d, 6)}，井盖编号{digits(d, 9)}",
    "contract": lambda d: f"合同编号：HT-{compact_day(d)}-{digits(d, 3)}",
    "bids": lambda d: f"项目编号{digits(d, 4)}-{compact_day(d)}-{digits(d, 6)}",
    "at everybody": lambda d: f"群主@所有人，{d.randint(2, 9)}元@{d.randint(2, 9)}.50斤",
    "provinces": lambda d: (
        f"川A车多，云B栋{d.randint(1, 9999)}室，新{d.choice('ABC')}区{d.randint(1, 99)}号"
    ),
    "building": lambda d: (
        f"{d.choice('ABCDE')}{d.randint(1, 9)}栋{room(d)}，车位B{d.randint(1, 3)}-{digits(d, 3)}"
    ),
}
"""Makers by what the number is."""
