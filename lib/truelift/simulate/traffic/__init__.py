"""The traffic of a web shop at any size, with every kind of dirt and its truth."""
