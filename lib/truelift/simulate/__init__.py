"""Worlds with known truth: panels with a known effect, dirty logs with known sessions."""

from truelift.simulate.log_files import write_logs
from truelift.simulate.logs import LogWorld, SimulatedLogs, simulate_logs
from truelift.simulate.panel import PanelWorld, SimulatedPanel, simulate_panel

__all__ = [
    "LogWorld",
    "PanelWorld",
    "SimulatedLogs",
    "SimulatedPanel",
    "simulate_logs",
    "simulate_panel",
    "write_logs",
]
