"""Worlds whose truth is known: they draw panels, tell what is true of them, and go on a step."""
