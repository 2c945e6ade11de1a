"""The need behind behaviour: from a table of users' steps to needs with their uncertainty, and what acting changes."""
