"""Gradient-boosted trees: a matrix in, a forest out, the same one however rows are shared out."""
