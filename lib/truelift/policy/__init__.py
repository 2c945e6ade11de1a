"""Policies: whom to treat how, by rules that are learned from doubly robust scores."""
