"""A shop whose truth is known: people with needs, lists with positions, purchases with and without them."""
