"""An instrument: what moves the treatment and the outcome through it alone."""
