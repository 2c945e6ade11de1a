"""Feed, loop and launchers of the sequence model, and its evaluation."""
