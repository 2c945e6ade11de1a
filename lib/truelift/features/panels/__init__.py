"""Panels of a specification: any subjects, any treatment, windows of any tables."""
