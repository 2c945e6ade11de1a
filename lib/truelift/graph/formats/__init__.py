"""Formats of others: DOT, dagitty and BIF, in and out."""
