"""Differences over time: groups whose treatment begins at different periods."""
