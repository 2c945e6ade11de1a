"""Sessions as pure array kernels: boundaries, identities, totals and agreement."""
