"""What processes that share a piece of work need: sums over all of them."""
