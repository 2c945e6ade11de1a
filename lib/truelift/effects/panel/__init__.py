"""A panel of units: where its rows lie, and how a batch of them becomes arrays."""
