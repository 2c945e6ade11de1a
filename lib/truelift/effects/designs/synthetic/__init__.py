"""Synthetic controls: a few treated units beside a mix of those that never are."""
