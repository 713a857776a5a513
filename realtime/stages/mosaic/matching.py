"""Which sounds of the clips a mosaic is made of, frame by frame: the content decomposed on atoms at any pitch.

A few grains play at a time. Each is read from a clip, at a pitch of its own, from where it was found on. Once in a hop
one grain, in turn, is compared with all atoms at all pitches, against what the other grains leave of the content; it
jumps there if it fits better by a margin and has played for its time. Then the grains' amounts are fitted to the
content, from those of the frame before, by multiplicative updates for the Kullback-Leibler divergence (Lee and Seung
2001).
"""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gramophone.models.units import MOST_SEMITONES
from gramophone.realtime.kernels.arrays import Doubles, Floats, zeros
from gramophone.realtime.kernels.jit import jit

Whole = NDArray[np.int64]
compiled = partial(jit, forceinline=False)
fast = partial(jit, forceinline=False, reassociate=True)
"""For dot products: the order of their sums is free, but is the same in every call."""

GRAINS = 4
_F = np.float32
_TINY = 1e-9
_UPDATES = 4
_NEAR = 2
"""Atoms closer than this to another grain's are not taken, so that two grains do not play the same."""
_SETTLING = 0.3
"""How far a grain's amount goes to its new value in a frame."""


class Dictionary(NamedTuple):
    """The atoms `(A, B)` of all clips in use, those of a clip in a row and in its order.

    `keys` and `blurred` `(A, B + 2 * margin)` are what they are compared by; `norms` `(A, 2 * margin + 1)` the keys'
    norms when shifted by so many bands less `margin`. `ends` (in samples), `clips`, `amplitudes`, `attacks` `(A,)`;
    `starts` `(clips + 1,)` is where each clip's atoms begin; `means` `(clips, B)`; `modulations` `(clips, J, K)`,
    the powers of levels in nats by rate; `lengths` `(clips,)` in samples.
    """

    spectra: Floats
    keys: Floats
    blurred: Floats
    norms: Floats
    ends: Doubles
    clips: Whole
    amplitudes: Floats
    attacks: Floats
    starts: Whole
    means: Floats
    modulations: Floats
    lengths: Doubles


class Grains(NamedTuple):
    """What plays, each `(G,)`.

    `atoms`, -1 for none; `shifts` in bands; `ends`, the sample of the clip that the frame ends at; `ages` in frames;
    `amounts`; `origins`, the sample that the grain began at.
    """

    atoms: Whole
    shifts: Whole
    ends: Doubles
    ages: Whole
    amounts: Floats
    origins: Doubles


class Work(NamedTuple):
    """Work space: `rest` and `sum` `(B,)`, `fitted` `(G,)`, `turn` `(1,)`, the grain whose turn it is.

    `blur` `(B, B)` averages over half an octave; `products` are an atom's at all pitches.
    """

    rest: Floats
    sum: Floats
    fitted: Floats
    turn: Whole
    blur: Floats
    products: Floats


class Choice(NamedTuple):
    """How grains are chosen in a frame.

    `grains` play at most; `reach` semitones up and down; `blurred`: compare colours, not pitches; `hold` frames that a
    grain plays at least; `margin` by which another atom must fit better; `centre` and `region` (0 to 1) where in the
    clip; `speed` of the way through the clip; `second` the second clip's share; `freeze`: keep what plays; `onset`:
    something begins in the content now; `aligned`: how far beginnings of the clip are kept for those of the content.
    """

    grains: int
    reach: int
    blurred: bool
    hold: int
    margin: float
    centre: float
    region: float
    speed: float
    second: float
    freeze: bool
    onset: bool
    aligned: float


def no_grains() -> Grains:
    """Return the state in which nothing plays."""
    return Grains(
        np.full(GRAINS, -1, np.int64),
        np.zeros(GRAINS, np.int64),
        np.zeros(GRAINS),
        np.zeros(GRAINS, np.int64),
        zeros(GRAINS),
        np.zeros(GRAINS),
    )


def work_space(blur: Floats) -> Work:
    """Return work space for as many bands as `blur` `(B, B)` has, which averages over half an octave."""
    bands = len(blur)
    pitches = 2 * MOST_SEMITONES + 1
    return Work(zeros(bands), zeros(bands), zeros(GRAINS), np.zeros(1, np.int64), blur, zeros(pitches))


@compiled
def match(dictionary: Dictionary, grains: Grains, work: Work, bands: Floats, choice: Choice, hop: int) -> None:
    """Move the grains on by a hop of samples and fit them to the content's magnitudes `bands`, `(B,)`."""
    total = _F(0)
    for band in range(len(bands)):
        total += bands[band]
    playing = False
    for grain in range(GRAINS):
        if grain >= choice.grains:
            grains.atoms[grain] = -1
        if grains.atoms[grain] >= 0:
            _advance(dictionary, grains, grain, choice, hop)
            playing = True
    if choice.freeze and playing:
        return
    if total <= _TINY:
        for grain in range(GRAINS):
            grains.atoms[grain] = -1
        return
    turn = -1
    for grain in range(choice.grains):
        if grains.atoms[grain] < 0:
            turn = grain
            break
    if turn < 0:
        work.turn[0] = (work.turn[0] + 1) % choice.grains
        if grains.ages[work.turn[0]] >= choice.hold or choice.onset:
            turn = work.turn[0]
    if turn >= 0:
        _leave(dictionary, grains, work, bands, total, turn, choice.blurred)
        _renew(dictionary, grains, work, turn, choice)
    _fit(dictionary, grains, work, bands, total)


@compiled
def _advance(dictionary: Dictionary, grains: Grains, grain: int, choice: Choice, hop: int) -> None:
    """Move a grain on; at the end of its clip it ends, or begins again if frozen."""
    atom = grains.atoms[grain]
    clip = dictionary.clips[atom]
    first, after = dictionary.starts[clip], dictionary.starts[clip + 1]
    grains.ends[grain] += hop * 2.0 ** (grains.shifts[grain] / 24.0)
    grains.ages[grain] += 1
    if grains.ages[grain] % max(choice.hold, 1) == 0:
        if choice.freeze:
            grains.ends[grain] = grains.origins[grain]
        else:
            grains.ends[grain] += (choice.speed - 1.0) * hop * choice.hold
    end = grains.ends[grain]
    if end > dictionary.lengths[clip] or end < 0:
        if not choice.freeze:
            grains.atoms[grain] = -1
            return
        grains.ends[grain] = grains.origins[grain]
        end = grains.ends[grain]
    low, high = first, after - 1
    while low < high:
        middle = (low + high) // 2
        if dictionary.ends[middle] < end:
            low = middle + 1
        else:
            high = middle
    if low > first and end - dictionary.ends[low - 1] < dictionary.ends[low] - end:
        low -= 1
    grains.atoms[grain] = low


@compiled
def _leave(
    dictionary: Dictionary, grains: Grains, work: Work, bands: Floats, total: float, turn: int, blurred: bool
) -> None:
    """Write to `rest` what the other grains leave of the content, compressed as the keys are."""
    for band in range(len(bands)):
        work.sum[band] = _F(0)
    for grain in range(GRAINS):
        if grain != turn and grains.atoms[grain] >= 0:
            _add(dictionary, work.sum, grains.atoms[grain], grains.shifts[grain], grains.amounts[grain] * _F(total))
    for band in range(len(bands)):
        work.rest[band] = np.sqrt(max(bands[band] - work.sum[band], _F(0)))
    if not blurred:
        _stand_out(work)


@fast
def _stand_out(work: Work) -> None:
    """Leave in `rest` what stands out from half an octave around it."""
    for band in range(len(work.rest)):
        row, found = work.blur[band], _F(0)
        for other in range(len(row)):
            found += row[other] * work.rest[other]
        work.sum[band] = found
    for band in range(len(work.rest)):
        work.rest[band] = max(work.rest[band] - work.sum[band], _F(0))


@fast
def _add(dictionary: Dictionary, into: Floats, atom: int, shift: int, amount: float) -> None:
    """Add so much of an atom, shifted by some bands, to `into`."""
    count = len(into) - abs(shift)
    # Slices, so that the loop counts from 0: an index that may be negative is checked, and the loop is no vector's.
    place, source = into[max(shift, 0) :], dictionary.spectra[atom][max(-shift, 0) :]
    for band in range(count):
        place[band] += amount * source[band]


@fast
def _dot(key: Floats, rest: Floats) -> Any:
    total = _F(0)
    for band in range(len(rest)):
        total += key[band] * rest[band]
    return total


@fast
def _products(key: Floats, rest: Floats, into: Floats) -> None:
    """Write the products of `rest` `(B,)` with the parts of a key that begin at every second band.

    Two at a time: most of what a product costs is to load `rest` and to call it.
    """
    count = len(rest)
    for pair in range(len(into) // 2):
        one, other = key[4 * pair :][:count], key[4 * pair + 2 :][:count]
        first, second = _F(0), _F(0)
        for band in range(count):
            first += one[band] * rest[band]
            second += other[band] * rest[band]
        into[2 * pair], into[2 * pair + 1] = first, second
    into[len(into) - 1] = _dot(key[2 * len(into) - 2 :], rest)


@compiled
def _likeness(dictionary: Dictionary, work: Work, table: Floats, atom: int, shift: int) -> Any:
    """Return how alike an atom, shifted by some bands, is to what is left of the content."""
    margin = (table.shape[1] - len(work.rest)) // 2
    key = table[atom][margin - shift : margin - shift + len(work.rest)]
    return _dot(key, work.rest) / dictionary.norms[atom, margin + shift]


@compiled
def _renew(dictionary: Dictionary, grains: Grains, work: Work, turn: int, choice: Choice) -> None:
    """Let a grain jump to the atom and pitch that fit what is left best, if they fit better than what it plays."""
    table = dictionary.blurred if choice.blurred else dictionary.keys
    margin, products = (table.shape[1] - len(work.rest)) // 2, work.products[: 2 * choice.reach + 1]
    best, best_atom, best_shift = _F(0), -1, 0
    for atom in range(len(table)):
        worth = _worth(dictionary, grains, atom, turn, choice)
        if worth <= 0:
            continue
        _products(table[atom][margin - 2 * choice.reach :], work.rest, products)
        for semitone in range(-choice.reach, choice.reach + 1):
            norm = dictionary.norms[atom, margin + 2 * semitone]
            score = worth * products[choice.reach - semitone] / norm
            if score > best:
                best, best_atom, best_shift = score, atom, 2 * semitone
    if best_atom < 0:
        return
    if choice.reach:  # half of a semitone nearer
        worth = _worth(dictionary, grains, best_atom, turn, choice)
        semitone_shift = best_shift
        for shift in (semitone_shift - 1, semitone_shift + 1):
            score = worth * _likeness(dictionary, work, table, best_atom, shift)
            if score > best:
                best, best_shift = score, shift
    atom = grains.atoms[turn]
    if atom >= 0:
        worth = _worth(dictionary, grains, atom, turn, choice)
        if best <= worth * _likeness(dictionary, work, table, atom, grains.shifts[turn]) * _F(1 + choice.margin):
            return
    else:
        grains.amounts[turn] = _F(1) / choice.grains
    grains.atoms[turn], grains.shifts[turn] = best_atom, best_shift
    grains.ends[turn] = grains.origins[turn] = dictionary.ends[best_atom]
    grains.ages[turn] = 0


@compiled
def _worth(dictionary: Dictionary, grains: Grains, atom: int, turn: int, choice: Choice) -> Any:
    """Return the factor of an atom's likeness: 0 if it may not be taken."""
    for grain in range(choice.grains):
        if grain != turn and grains.atoms[grain] >= 0 and abs(grains.atoms[grain] - atom) <= _NEAR:
            return _F(0)
    clip = dictionary.clips[atom]
    share = choice.second if clip else 1.0 - choice.second
    worth = min(2.0 * share, 1.0)
    if choice.region < 1.0:
        away = abs(dictionary.ends[atom] / dictionary.lengths[clip] - choice.centre)
        if away > max(choice.region, 0.02):
            worth = 0.0
    attack = dictionary.attacks[atom]
    wanted = attack if choice.onset else 1.0 - attack
    return _F(worth * (1.0 - choice.aligned * (1.0 - wanted)))


@compiled
def _fit(dictionary: Dictionary, grains: Grains, work: Work, bands: Floats, total: float) -> None:
    """Fit the grains' amounts to the content."""
    count = len(bands)
    for grain in range(GRAINS):
        playing = grains.atoms[grain] >= 0
        work.fitted[grain] = max(grains.amounts[grain], _F(0.02)) if playing else _F(0)
    for _ in range(_UPDATES):
        for band in range(count):
            work.sum[band] = _F(1e-7) * _F(total)
        for grain in range(GRAINS):
            if grains.atoms[grain] >= 0:
                _add(dictionary, work.sum, grains.atoms[grain], grains.shifts[grain], work.fitted[grain] * _F(total))
        for band in range(count):
            work.rest[band] = bands[band] / work.sum[band]
        for grain in range(GRAINS):
            if grains.atoms[grain] >= 0:
                work.fitted[grain] *= _update(dictionary, work.rest, grains.atoms[grain], grains.shifts[grain])
    for grain in range(GRAINS):
        if grains.atoms[grain] >= 0:
            share = _F(1) if grains.ages[grain] == 0 else _F(_SETTLING)
            grains.amounts[grain] += (work.fitted[grain] - grains.amounts[grain]) * share
        else:
            grains.amounts[grain] = _F(0)


@fast
def _update(dictionary: Dictionary, ratios: Floats, atom: int, shift: int) -> Any:
    """Return the multiplicative update of an atom's amount."""
    count = len(ratios) - abs(shift)
    own, source = ratios[max(shift, 0) :], dictionary.spectra[atom][max(-shift, 0) :]
    above, below = _F(0), _F(_TINY)
    for band in range(count):
        above += source[band] * own[band]
        below += source[band]
    return above / below
