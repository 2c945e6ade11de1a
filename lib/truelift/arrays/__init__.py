"""Ground for what lies in arrays: hashes of keys, ranks of texts, instants as numbers."""
