"""Keras 3 sequence models and the form in which they travel; no input or output here."""
