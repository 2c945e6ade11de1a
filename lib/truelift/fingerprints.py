"""Short stable hashes of plain values."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from truelift.typed import to_plain


def fingerprint_of(**parts: Any) -> str:
    """A short stable hash of plain values."""
    text = json.dumps(to_plain(parts), sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:24]
