"""Sequences, profiles, item features and the unit-treatment-outcome panel."""
