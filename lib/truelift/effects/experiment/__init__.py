"""What a randomised experiment says for itself, and tests and lifts that a specification asks for."""
