"""Nuisances, scores and inference of treatment effects, with overlap beside them."""
