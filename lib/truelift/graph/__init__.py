"""Causal graphs: what can be identified, what the data contradict, what they can tell of a graph."""
