"""A world's dials, fitted to how often people come, what they buy and click in a lake."""
