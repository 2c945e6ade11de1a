"""What ``import truelift as tl`` offers: first results on a table, without a lake, YAML or Spark."""
