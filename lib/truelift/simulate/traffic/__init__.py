"""The traffic of a web shop at any size, with every kind of dirt and its truth."""

from truelift.simulate.traffic.block import traffic_block
from truelift.simulate.traffic.memory import SimulatedTraffic, simulate_traffic
from truelift.simulate.traffic.plan import TrafficPlan
from truelift.simulate.traffic.world import BotShares, DirtShares, TrafficWorld

__all__ = [
    "BotShares",
    "DirtShares",
    "SimulatedTraffic",
    "TrafficPlan",
    "TrafficWorld",
    "simulate_traffic",
    "traffic_block",
]
