"""How many blocks of time the worker has: one, and to spare what is asked for or what the chain's hops need.

A stage with a hop of its own does nothing for some blocks and a whole hop's work in another. With as many blocks to
spare as a hop has, that work may take its time, and what the machine stalls besides is not heard.
"""

from __future__ import annotations

import math

from gramophone.realtime.live.status import Status


def depth(status: Status, spare: int | None, block: int) -> int:
    """Return the worker's time in blocks of `block` frames; `spare` None is what the chain's hops need."""
    if spare is None:
        hop = round(status["hop_s"] * status["rate"])
        spare = math.ceil(hop / block) if hop else 0
    return 1 + spare
