"""Readers of what others send in forms of their own: each makes events of it, or says why not."""

CODES = {
    "hj212_frame": "the telegram is no whole frame",
    "hj212_length": "the telegram says another length than it has",
    "hj212_crc": "the telegram was changed on its way",
    "hj212_version": "the telegram is of a version that is not read",
    "hj212_command": "the telegram holds no real-time data",
    "hj212_empty": "the telegram holds no factor that is a metric",
    "hj212_unknown": "no register says where the monitor stands",
    "cap_xml": "the message can not be read as CAP 1.2",
    "cap_status": "the message is an exercise or a test",
}
"""Why a message is refused at the door, beside what events are refused for."""
