"""Sequence models: how histories enter them, Keras 3 models, how they travel."""
