"""Propensities and outcome regressions, out of fold: the learners and what they are made of."""
