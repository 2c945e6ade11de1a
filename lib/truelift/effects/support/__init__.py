"""What the data can carry: typed verdicts, and the words that say them."""
