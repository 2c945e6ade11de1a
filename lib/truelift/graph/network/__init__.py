"""Bayesian networks: parameters from one pass of counts, and questions that they answer."""
