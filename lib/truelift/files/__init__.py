"""Files as bytes that lie somewhere: where, found by path, known again by content, told apart."""
