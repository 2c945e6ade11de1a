"""The estimands, a file each: what is summed of a unit, how an estimate is made of it, how it is told."""
