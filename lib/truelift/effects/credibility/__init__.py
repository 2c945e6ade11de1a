"""How far an effect can be believed: unobserved confounding, placebos, refutations, stability."""
