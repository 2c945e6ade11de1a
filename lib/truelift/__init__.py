"""truelift: from raw behaviour logs to effects with honest uncertainty."""

__version__ = "0.1.0"
