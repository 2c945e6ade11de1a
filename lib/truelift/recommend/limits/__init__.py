"""What lists may cost and hold, and lists that keep to it."""
