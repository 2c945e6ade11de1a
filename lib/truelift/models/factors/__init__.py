"""Factorised scores of users and items, and corrections for what was shown to whom."""
