"""Worlds with known truth: panels with a known effect, dirty logs with known sessions.

The shop (``simulate_logs``) is small and has campaigns with known effects; the traffic
(``simulate_traffic``) has any size, and every kind of dirt and bot.
"""

from truelift.simulate.log_files import write_logs
from truelift.simulate.logs import LogWorld, SimulatedLogs, simulate_logs
from truelift.simulate.panel import PanelWorld, SimulatedPanel, simulate_panel
from truelift.simulate.traffic import (
    SimulatedTraffic,
    TrafficPlan,
    TrafficWorld,
    simulate_traffic,
    traffic_block,
)

__all__ = [
    "LogWorld",
    "PanelWorld",
    "SimulatedLogs",
    "SimulatedPanel",
    "SimulatedTraffic",
    "TrafficPlan",
    "TrafficWorld",
    "simulate_logs",
    "simulate_panel",
    "simulate_traffic",
    "traffic_block",
    "write_logs",
]
