"""The 12345 hotline: calls, and work orders from creation to close."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from agents.city.disorder import Arrivals, Disorder, arrange, kinds_of
from agents.city.districts import DISTRICTS, spot, streets
from agents.city.draws import Floats, Ints, mix, uniforms
from agents.city.episodes import Almanac
from agents.city.rhythm import CURVES, DAY, MINUTE_MS, START_MS, WEEK, local_time, minute_of_week

HOTLINE = "city.hotline.v1"
_ORDER, _CALL, _FAULT = 0x401, 0x402, 0x403
_SLOTS = 128
_ORDERS, _CALLS = 20.0, 40.0
_STEPS = ("created", "dispatched", "accepted", "in_progress", "replied", "closed")
# Shortest and longest time after the step before, seconds; urgent orders take a quarter.
_WAITS = ((5, 60), (180, 2400), (300, 7200), (1800, 21600), (1800, 14400))
LOOK_BACK_HOURS = 14
"""No order is open longer than this many hours."""

_URGENCY = ("normal", "urgent", "critical")
_CHANNELS = ("phone", "phone", "phone", "app", "wechat", "web")


class Topic(NamedTuple):
    """A class of orders: category path, its code, the office that answers, what people write."""

    path: tuple[str, str]
    code: str
    office: str
    kind: str
    texts: tuple[str, ...]


TOPICS = (
    Topic(
        ("水务", "内涝积水"),
        "0803",
        "shuiwu",
        "help",
        ("{}路口积水很深，车辆熄火，请尽快排水。", "{}隧道口水浸，行人过不去，请派人处理。"),
    ),
    Topic(
        ("噪声", "夜间施工"),
        "0502",
        "huanbao",
        "complaint",
        ("{}工地深夜还在施工，居民无法休息。", "{}半夜打桩声很大，希望有人管一管。"),
    ),
    Topic(
        ("城管", "垃圾清运"),
        "0311",
        "chengguan",
        "complaint",
        ("{}垃圾桶满了两天没有人清运。", "{}路边堆放建筑垃圾，影响通行。"),
    ),
    Topic(
        ("水务", "停水"),
        "0807",
        "shuiwu",
        "help",
        ("{}整栋楼停水，没有收到通知。", "{}水压很低，高层用不上水。"),
    ),
    Topic(
        ("城管", "违规占道"),
        "0305",
        "chengguan",
        "report",
        ("{}人行道被摊档占用，只能走车道。", "{}有车辆长期占用盲道。"),
    ),
    Topic(
        ("市政", "路灯故障"),
        "0612",
        "zhujian",
        "report",
        ("{}路灯不亮已有一周，夜里出行不便。", "{}几盏路灯一直闪烁，请检修。"),
    ),
    Topic(
        ("交通", "公交线路"),
        "0704",
        "jiaotong",
        "consult",
        ("请问经过{}的公交末班车是几点？", "{}公交站等车太久，建议加密班次。"),
    ),
)
_BY_NAME = {topic.path[1]: number for number, topic in enumerate(TOPICS)}


class Hour(NamedTuple):
    """Orders and calls that begin in one hour, with all their later steps.

    Items 0 … 6·orders - 1 are steps (order = item // 6), the rest are calls.
    """

    steps: Ints
    draw: Floats
    street: Ints
    topic: Ints
    urgency: Ints
    number: Ints
    calls: Ints
    call_draw: Floats
    call_number: Ints
    arrivals: Arrivals


class Hotline:
    """Work orders and calls, by the hour in which they begin."""

    def __init__(self, seed: int, scale: float, disorder: Disorder, almanac: Almanac) -> None:
        self._seed = seed
        self._scale = scale
        self._disorder = disorder
        self._almanac = almanac
        self._slots = _SLOTS * max(1, int(-(-scale // 1)))
        self.hour = lru_cache(maxsize=LOOK_BACK_HOURS + 4)(self._hour)

    def _begin(self, number: int, key: int, busy: float, columns: int) -> tuple[Ints, Floats, Ints]:
        """Slots of an hour in which something begins, their draws, and the times, ms UTC."""
        rows = np.arange(60 * self._slots)
        rate = CURVES["orders"][(minute_of_week(number * 60) + rows // self._slots) % WEEK]
        first = uniforms(key, rows, 1)[0]
        rows = rows[first < rate * busy * self._scale / self._slots]
        draw = uniforms(mix(key, 1), rows, columns)
        slot_ms = MINUTE_MS / self._slots
        time = START_MS + number * 60 * MINUTE_MS + ((rows + draw[0]) * slot_ms).astype(np.int64)
        return rows, draw, time

    def _hour(self, number: int) -> Hour:
        order_key = mix(self._seed, _ORDER, number)
        rows, draw, created = self._begin(number, order_key, _ORDERS, 13)
        places = streets()
        street = (draw[1] * len(places)).astype(np.int64)
        topic = (draw[2] * len(TOPICS)).astype(np.int64)
        urgency = np.where(draw[3] < 0.0002, 2, np.where(draw[3] < 0.0017, 1, 0))
        serial = (number * 60 + 360) % DAY * self._slots + rows
        for index, plan in enumerate(self._almanac.day(number * 60 // DAY)):
            episode = plan.episode
            if episode.kind != "complaint_burst" or episode.start // 60 != number:
                continue
            more = np.arange(int(episode.peak)) + ((index + 1) << 32)
            extra = uniforms(mix(order_key, 2), more, 13)
            span = episode.end_ms - episode.start_ms
            place = next(n for n, one in enumerate(places) if one.code == episode.place)
            rows, draw = np.concatenate((rows, more)), np.concatenate((draw, extra), axis=1)
            created = np.concatenate(
                (created, episode.start_ms + (extra[0] * span).astype(np.int64))
            )
            street = np.concatenate((street, np.full(len(more), place)))
            topic = np.concatenate((topic, np.full(len(more), _BY_NAME[episode.signal])))
            urgency = np.concatenate((urgency, np.where(extra[3] < 0.05, 2, 1)))
            # Ordinary orders of a day never reach this number.
            serial = np.concatenate((serial, 90_000_000 + index * 1000 + np.arange(len(more))))
        low = np.array([wait[0] for wait in _WAITS])[:, None] * 1000
        high = np.array([wait[1] for wait in _WAITS])[:, None] * 1000
        waits = low + ((high - low) * draw[8:13]).astype(np.int64)
        waits = np.where(urgency > 0, waits // 4, waits)
        steps = np.concatenate((created[None, :], created + np.cumsum(waits, axis=0))).T
        call_rows, call_draw, calls = self._begin(number, mix(self._seed, _CALL, number), _CALLS, 4)
        times = np.concatenate((steps.reshape(-1), calls))
        names = np.concatenate(
            ((rows[:, None] * len(_STEPS) + np.arange(len(_STEPS))).reshape(-1), -1 - call_rows)
        )
        fate = uniforms(mix(self._seed, _FAULT, number), names, 2)
        arrivals = arrange(
            times,
            self._disorder.classify(fate[0], delayed=False),
            fate[1],
            np.full(len(times), kinds_of(HOTLINE)),
        )
        call_number = (number * 60 + 360) % DAY * self._slots + call_rows
        return Hour(
            steps, draw, street, topic, urgency, serial, calls, call_draw, call_number, arrivals
        )

    def write(self, hour: Hour, item: int) -> tuple[bytes, bytes]:
        """Key and value of one step or call, as it stands in the log."""
        order, step = divmod(item, len(_STEPS))
        if order >= len(hour.steps):
            return self._write_call(hour, item - hour.steps.size)
        t, created = int(hour.steps[order, step]), int(hour.steps[order, 0])
        draw = hour.draw[:, order]
        street, topic = streets()[hour.street[order]], TOPICS[hour.topic[order]]
        urgency = _URGENCY[hour.urgency[order]]
        where = spot(street, int(draw[4] * 200))
        name = f"GZ{local_time(created):%Y%m%d}-{hour.number[order]:08d}"
        system = "cgj" if topic.office == "chengguan" and draw[5] < 0.5 else "12345"
        due = created + (DAY if urgency != "normal" else 5 * DAY) * MINUTE_MS
        if step == 0:
            text = topic.texts[int(draw[6] * len(topic.texts))].format(street.name)
            # Twelve digits after 0000: no telephone number can begin like this.
            rest = f',"text":"{text}","caller":"0000{int(draw[7] * 99_999_999):08d}"'
        else:
            by = "auto" if draw[6] < 0.93 else "human"
            rest = f',"department":"{DISTRICTS[street.district]}-{topic.office}","by":"{by}"'
        value = (
            f'{{"kind":"order","system":"{system}","order_id":"{name}","seq":{step},'
            f'"status":"{_STEPS[step]}","t":{t},"t_created":{created},"due":{due},'
            f'"place":"{where.grid}","lon":{where.lon},"lat":{where.lat},"crs":"CGCS2000",'
            f'"place_precision":"grid","channel":"{_CHANNELS[int(draw[7] * 600) % 6]}",'
            f'"type":"{topic.kind}","category":["{topic.path[0]}","{topic.path[1]}"],'
            f'"category_code":"{topic.code}","urgency":"{urgency}"{rest},'
            f'"source":"gz-{system}"}}'
        )
        return name.encode(), value.encode()

    def _write_call(self, hour: Hour, call: int) -> tuple[bytes, bytes]:
        t, draw = int(hour.calls[call]), hour.call_draw[:, call]
        name = f"call-{local_time(t):%Y%m%d}-{hour.call_number[call]:08d}"
        answered = bool(draw[1] < 0.985)
        wait = round(3 + 9 * float(draw[2]) + (60 * float(draw[3]) if draw[2] > 0.95 else 0), 1)
        talk = f',"talk_s":{round(40 + 300 * float(draw[3]), 1)}' if answered else ""
        value = (
            f'{{"kind":"call","id":"{name}","t":{t},"place":"4401","wait_s":{wait},'
            f'"answered":{"true" if answered else "false"}{talk},"source":"gz-12345"}}'
        )
        return name.encode(), value.encode()
