"""A seeded, simulated city: events of all four input topics with planted episodes and faults.

Pure: the events of a minute are a function of (seed, scale, disorder, minute), so a run
that stops at minute k continues there without replaying what came before.
"""

from agents.city.city import City
from agents.city.disorder import DAMAGE, Disorder
from agents.city.disturbed import Disturbed
from agents.city.emission import Emission
from agents.city.episodes import Episode
from agents.city.lives import Shares
from agents.city.load import load_readings
from agents.city.register import Registered, register_rows
from agents.city.rhythm import MINUTE_MS, START_MS

__all__ = [
    "DAMAGE",
    "MINUTE_MS",
    "START_MS",
    "City",
    "Disorder",
    "Disturbed",
    "Emission",
    "Episode",
    "Registered",
    "Shares",
    "load_readings",
    "register_rows",
]
