"""Exact policy trees on binned covariates, from histograms of scores that add up."""
