"""What a ranking is worth: splits, baselines, metrics over the whole catalogue, comparisons, the gate."""
