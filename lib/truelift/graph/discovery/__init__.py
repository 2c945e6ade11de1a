"""What data can say of a causal graph: equivalence classes from sums, with the frequencies of their edges."""
