"""Policies: whom to treat how, by rules learned from scores; what any policy would earn, from logs."""
