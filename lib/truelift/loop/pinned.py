"""Which shop the step ``play_loop`` plays in; a look ahead at the steps asks it too, so it imports little."""

from __future__ import annotations

import hashlib
import json

from truelift.config import load_spec
from truelift.settings import Settings
from truelift.simulate.shop_world.parameters import ShopWorld, resized
from truelift.typed import to_plain


def world_of(settings: Settings) -> ShopWorld:
    """The shop that the settings name, with their number of users."""
    asked = settings.loop
    return resized(load_spec(ShopWorld, "worlds", "world", asked.world, "loop.world"), asked.users)


def pinned_world(settings: Settings) -> dict[str, str]:
    """What the world's file says: with other dials the step runs again."""
    if not settings.loop.enabled:
        return {}
    told = json.dumps(to_plain(world_of(settings)), sort_keys=True)
    return {"loop.world": hashlib.sha256(told.encode()).hexdigest()[:12]}
