"""Time tags: NTP time in 64 bits, seconds since 1900 above the point and their fractions below."""

from __future__ import annotations

IMMEDIATELY = 1
_UNIX_EPOCH_S = 2_208_988_800
_ERA_S = 2.0**32


def time_tag(wall_s: float) -> int:
    """Return the tag of a time in seconds since 1970."""
    return round((wall_s + _UNIX_EPOCH_S) * 2**32) % 2**64


def due_at(tag: int, wall_s: float) -> float:
    """Return when a tag is due in seconds since 1970; 0 for what is due at once. `wall_s` is the time now.

    The count of seconds wraps in February 2036: of the times that a tag may mean, it means the nearest to now.
    """
    if tag <= IMMEDIATELY:
        return 0.0
    due = tag / 2**32 - _UNIX_EPOCH_S
    eras = round((wall_s - due) / _ERA_S)
    return due + eras * _ERA_S
