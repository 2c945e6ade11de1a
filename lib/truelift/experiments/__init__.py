"""Experiments from design to decision: how large, who is where, what follows."""
