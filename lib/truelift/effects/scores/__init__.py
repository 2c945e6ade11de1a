"""Doubly robust scores of units, their sums by cluster, and the estimands that they answer."""
