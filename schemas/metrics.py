"""The metrics of sensor readings: unit, physical range and usual period of each.

Codes after HJ 212 where that standard has one. Units are UCUM-like and must match exactly.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Metric:
    """What a device measures.

    Parameters
    ----------
    code
        Name in events and in the catalogue.
    zh, en
        Names for people.
    unit
        The one unit in which readings come.
    minimum, maximum
        Physical range, both ends included, in `unit`.
    period_s
        Usual seconds between two readings of a device; 0 where readings are happenings.
    resolution
        Step of the exact sums, in `unit`.
    hj212
        Factor code of HJ 212, where there is one.
    """

    code: str
    zh: str
    en: str
    unit: str
    minimum: float
    maximum: float
    period_s: int
    resolution: float = 1e-6
    hj212: str | None = None


_TABLE = (
    Metric("rain", "降雨量（时段）", "rain in the period", "mm", 0, 60, 60),
    Metric("air_temperature", "气温", "air temperature", "Cel", -15, 50, 300, hj212="a01001"),
    Metric("humidity", "相对湿度", "relative humidity", "%", 0, 100, 300, hj212="a01002"),
    Metric("air_pressure", "气压", "air pressure", "hPa", 850, 1080, 300, hj212="a01006"),
    Metric("wind_speed", "风速", "wind speed", "m/s", 0, 75, 60, hj212="a01007"),
    Metric("wind_dir", "风向", "wind direction", "deg", 0, 360, 60, hj212="a01008"),
    Metric("wind_gust", "阵风", "gust", "m/s", 0, 90, 60),
    Metric("water_depth", "积水深度", "water depth on road", "cm", 0, 500, 60),
    Metric("manhole_level", "井内水位", "water level in manhole", "m", 0, 20, 300),
    Metric("cover_tilt", "井盖倾角", "manhole cover tilt", "deg", 0, 180, 3600),
    Metric("pump_state", "水泵状态", "pump state 0 fault 1 ready 2 running", "1", 0, 2, 60),
    Metric("water_level", "水位", "river or tide level", "m", -5, 60, 300),
    Metric("pipe_pressure", "管道压力", "pipe pressure", "MPa", 0, 4, 60),
    Metric("pipe_flow", "管道流量", "pipe flow", "m3/h", 0, 100000, 300),
    Metric("turbidity", "浊度", "turbidity", "NTU", 0, 1000, 300),
    Metric("pm25", "PM2.5", "PM2.5", "ug/m3", 0, 1000, 300, hj212="a34004"),
    Metric("pm10", "PM10", "PM10", "ug/m3", 0, 2000, 300, hj212="a34002"),
    Metric("so2", "SO2", "SO2", "ug/m3", 0, 3000, 300, hj212="a21026"),
    Metric("no2", "NO2", "NO2", "ug/m3", 0, 4000, 300, hj212="a21004"),
    Metric("co", "CO", "CO (ambient)", "mg/m3", 0, 150, 300, hj212="a21005"),
    Metric("o3", "O3", "O3", "ug/m3", 0, 1500, 300, hj212="a05024"),
    Metric("do", "溶解氧", "dissolved oxygen", "mg/L", 0, 25, 14400, hj212="w01009"),
    Metric("codmn", "高锰酸盐指数", "permanganate index", "mg/L", 0, 500, 14400, hj212="w01019"),
    Metric("nh3n", "氨氮", "ammonia nitrogen", "mg/L", 0, 300, 14400, hj212="w21003"),
    Metric("tp", "总磷", "total phosphorus", "mg/L", 0, 100, 14400, hj212="w21011"),
    Metric("tn", "总氮", "total nitrogen", "mg/L", 0, 300, 14400, hj212="w21001"),
    Metric("cod", "化学需氧量", "COD", "mg/L", 0, 5000, 3600, hj212="w01018"),
    Metric("ph", "pH", "pH", "1", 0, 14, 3600, hj212="w01001"),
    Metric("orp", "氧化还原电位", "redox potential", "mV", -1000, 1000, 3600),
    Metric("laeq", "等效声级", "A-weighted equivalent level", "dB", 20, 130, 60, hj212="LA"),
    Metric("lamax", "最大声级", "A-weighted maximum level", "dB", 20, 140, 60),
    Metric("smoke_alarm", "烟感报警", "smoke alarm 0/1", "1", 0, 1, 3600),
    Metric("heat_temperature", "感温", "heat detector temperature", "Cel", -20, 200, 60),
    Metric("residual_current", "剩余电流", "residual current", "mA", 0, 5000, 300),
    Metric("cable_temperature", "线缆温度", "cable temperature", "Cel", -20, 200, 300),
    Metric("gas_lel", "可燃气", "combustible gas", "%LEL", 0, 100, 60),
    Metric("gas_oel", "有毒气", "toxic gas relative to OEL", "%OEL", 0, 1000, 60),
    Metric("o2", "氧气", "oxygen", "%vol", 0, 30, 60),
    Metric("h2s", "硫化氢", "hydrogen sulphide", "mg/m3", 0, 200, 60),
    Metric("displacement", "位移", "displacement", "mm", -10000, 10000, 600),
    Metric("strain", "应变", "strain", "1e-6", -5000, 5000, 60),
    Metric("acceleration_rms", "振动均方根", "acceleration RMS over 10 min", "cm/s2", 0, 500, 600),
    Metric("axle_weight", "轴重/车重", "vehicle weight", "t", 0, 200, 0),
    Metric("lamp_state", "灯杆状态", "lamp state 0 ok 1 fault", "1", 0, 1, 3600),
    Metric(
        "ev_connector_state",
        "充电接口状态",
        "connector state 0 offline 1 idle 2 plugged 3 charging 4 reserved 255 fault",
        "1",
        0,
        255,
        60,
    ),
    Metric("ev_temperature", "充电枪温度", "connector temperature", "Cel", -20, 150, 30),
    Metric("transformer_load", "配变负载率", "transformer load", "%", 0, 200, 300),
    Metric("active_power", "有功功率", "active power", "W", -1e8, 1e8, 60),
    Metric("outage_users", "停电用户数", "customers off supply", "1", 0, 1000000, 300),
    Metric("bin_fill", "垃圾箱满溢度", "bin fill", "%", 0, 100, 1800),
    Metric(
        "ai_event", "视频智能分析事件", "video-analytics event (value 1, cls, conf)", "1", 0, 1, 0
    ),
    Metric("camera_state", "摄像机状态", "camera state 0/1", "1", 0, 1, 300),
    Metric("crowd_density", "人群密度", "crowd density", "1/m2", 0, 12, 10),
    Metric("person_count", "在场人数", "persons present", "1", 0, 500000, 60),
    Metric("person_in", "进入人数", "persons in", "1", 0, 100000, 60),
    Metric("person_out", "离开人数", "persons out", "1", 0, 100000, 60),
    Metric("hall_wait", "等候时长", "waiting time of a served ticket", "min", 0, 600, 0),
    Metric("hr", "心率", "heart rate", "1/min", 20, 250, 60),
    Metric("spo2", "血氧", "SpO2", "%", 50, 100, 60),
    Metric("resp", "呼吸频率", "respiration rate", "1/min", 3, 60, 60),
    Metric("sbp", "收缩压", "systolic pressure", "mm[Hg]", 40, 280, 3600),
    Metric("body_temperature", "体温", "body temperature", "Cel", 30, 44, 600),
    Metric("fall", "跌倒", "fall", "1", 0, 1, 0),
    Metric("sos", "SOS", "SOS button", "1", 0, 1, 0),
    Metric("er_arrival", "急诊到诊", "ER arrivals in the period", "1", 0, 1000, 900),
)


class Metrics(Mapping[str, Metric]):
    """Metrics by their codes.

    Attributes
    ----------
    by_factor
        Those that have one, by their factor of HJ 212.
    sound
        Range by metric, unit and place that a reading was found sound with before.

    Examples
    --------
    >>> METRICS["rain"].unit, METRICS.with_more([]) is METRICS
    ('mm', True)
    """

    def __init__(self, metrics: Iterable[Metric]) -> None:
        self._by_code = {metric.code: metric for metric in metrics}
        self.by_factor = {m.hj212: m for m in self._by_code.values() if m.hj212 is not None}
        self.sound: dict[tuple[str, str, str], tuple[float, float]] = {}

    def __getitem__(self, code: str) -> Metric:
        return self._by_code[code]

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_code)

    def __len__(self) -> int:
        return len(self._by_code)

    def with_more(self, more: Iterable[Metric]) -> Metrics:
        """These and others of other codes; the same where there are none."""
        added = [metric for metric in more if metric.code not in self]
        return Metrics([*self._by_code.values(), *added]) if added else self


METRICS = Metrics(_TABLE)
"""The metrics that are known to every configuration."""
