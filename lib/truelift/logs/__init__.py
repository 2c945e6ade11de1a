"""Raw rows to clean events and sessions: sources, cleaning, quality, sessions."""
