"""What is asked of an estimation beyond its estimates: with whom, how surely, against what test."""
