"""From the rows of an experiment to its estimates, and to what follows."""
