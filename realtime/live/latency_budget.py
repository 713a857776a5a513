"""The latency budget: how many blocks of time the worker has.

One block at least, and more if that is asked for or the chain needs it: a stage with a hop does nothing for some blocks
and a whole hop's work in another. With as many spare blocks as a hop has, that work may take its time, and stalls of
the machine do no harm.
"""

from __future__ import annotations

import math

from gramophone.realtime.live.status import Status

MOVE_SAMPLES = 480
"""How long the callback takes to fade to another budget: 10 ms at 48 kHz."""


def budget_blocks(status: Status, spare: int | None, block: int) -> int:
    """Return the worker's time, 1 or more, in blocks of `block` frames.

    `spare` blocks are added to the one; None adds what the chain that plays now needs for its longest hop.
    """
    if spare is None:
        hop = round(status["hop_s"] * status["rate"])
        spare = math.ceil(hop / block) if hop else 0
    return 1 + spare
