"""Designs that estimate by something else than adjustment: instruments, differences over time."""
