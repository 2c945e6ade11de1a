"""Worlds with known truth: panels with a known effect, dirty logs with known sessions.

Panels are worlds of a registry (``worlds/``), which also let a policy act. The shop (``logs.py``) is
small and has campaigns with known effects; the traffic (``traffic/``, the command ``simulate_logs``)
has any size, and every kind of dirt and bot.
"""
