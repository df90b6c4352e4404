// Names of domains and units, and why a record was refused, in Chinese and English.

export const DOMAINS = {
  air: ["空气", "Air"],
  care: ["养老照护", "Care"],
  city: ["城市总体", "City"],
  cm: ["城市管理", "City management"],
  crowd: ["人群", "Crowds"],
  drain: ["排水内涝", "Drainage"],
  energy: ["能源", "Energy"],
  engine: ["引擎", "Engine"],
  fire: ["消防", "Fire"],
  geo: ["地质", "Ground"],
  hazchem: ["危化品", "Hazardous chemicals"],
  hotline: ["12345 热线", "12345 hotline"],
  iot: ["物联感知", "Sensing"],
  lifeline: ["城市生命线", "Lifelines"],
  med: ["医疗", "Medical"],
  meteo: ["气象", "Weather"],
  noise: ["噪声", "Noise"],
  safety: ["施工安全", "Site safety"],
  supply: ["供水", "Water supply"],
  traffic: ["交通", "Traffic"],
  waterenv: ["水环境", "Water bodies"],
};

/** Categories of hotline orders, in English; one that is not here is shown as it is called. */
export const CATEGORIES = {
  "内涝积水": "Flooding", "夜间施工": "Building at night", "垃圾清运": "Refuse", "停水": "Water supply", "违规占道": "Obstructed pavements",
  "路灯故障": "Street lamps", "公交线路": "Buses", "燃气异味": "Smell of gas", "停电": "Power cuts", "道路破损": "Damaged roads",
  "井盖缺损": "Manhole covers", "消防隐患": "Fire hazards", "高空抛物": "Objects thrown from heights", "物业管理": "Property management",
  "劳动欠薪": "Unpaid wages", "食品安全": "Food safety", "油烟异味": "Fumes and smells", "噪声扰民": "Noise", "违法建设": "Illegal building",
  "停车难": "Parking", "河涌污染": "Polluted waterways", "学位入学": "Schools", "医疗社保": "Health and insurance",
  "消费纠纷": "Consumer disputes", "树木倒伏": "Fallen trees", "交通拥堵": "Traffic jams",
};

export const UNITS = {
  "": "",
  "0-100": "/ 100",
  "1": "",
  "1/h": ["/时", "/h"],
  "1/m2": ["人/m²", "/m²"],
  "1/min": ["/分", "/min"],
  "Cel": "°C",
  "Cel/min": "°C/min",
  "class": ["类", "class"],
  "conditions": ["项条件", "conditions", "condition"], // and one of them
  "count": "",
  "h": ["小时", "h"],
  "index": "",
  "level": ["级", "level"],
  "m3/h": "m³/h",
  "mg/m3": "mg/m³",
  "min": ["分", "min"],
  "mm[Hg]": "mmHg",
  "ratio": ["倍", "×"],
  "s": ["秒", "s"],
  "score": ["分", "points"],
  "ug/m3": "µg/m³",
  "veh/h": ["辆/时", "veh/h"],
};
