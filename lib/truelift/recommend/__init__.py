"""From a trained sequence model to ranked items a user."""
