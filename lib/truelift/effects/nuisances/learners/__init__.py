"""Learners of the nuisances, a file each: a row of the registry, its options, how it is fitted."""
