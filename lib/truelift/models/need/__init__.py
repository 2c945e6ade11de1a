"""Needs that nobody recorded: exact likelihoods, filters and smoothers, and what acting on them changes."""
