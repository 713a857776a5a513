"""Every factory preset sounds as it did when its render was kept: to -110 dB, on another model of processor to -85 dB.

The renders themselves would take 20 MB. What is kept of each are random projections: sums of a tenth of a second's
samples with signs drawn at random. The sum over a difference is as large on average as the root of its energy
(Johnson and Lindenstrauss, 1984), so that a few of them tell the difference's level, of every sample and its phase.

`python tests/presets/test_renders.py` keeps the renders of now, and prints how far they are from those before: do that
after a change that is meant to be heard, and look at what else it changed.
"""

import hashlib
from pathlib import Path

import numpy as np
import pytest
import soxr
import torch
from llvmlite.binding import get_host_cpu_name

from gramophone.presets import CLIPS, load
from gramophone.realtime.engine import Engine
from gramophone.realtime.files import read

NAMES = sorted(path.stem for path in (CLIPS.parent / "factory").glob("*.toml"))
KEPT = Path(__file__).with_suffix(".npz")
RATE, PART, PROJECTIONS = 48_000, 4_800, 8
LIMIT_DB = -110.0
# What quantises or distorts hears a change of rounding: so far are renders in one pass from those in blocks of 256
# (docs/figures.md, "Goals of speed"), and as much more is let through.
LIMITS_DB = {"robot": -35, "lo-fi": -51, "drums": -80, "cello": -87, "telephone": -96, "stack": -98, "old-record": -104}
ELSEWHERE_DB = 25.0
"""So much more is let through on another processor, which rounds otherwise: up to 15 dB more from znver4 to znver3."""
DRAWN = ("someone-else", "sixteen-numbers")
"""They draw samples at random, so that a change of rounding changes all after it: their level is compared."""
CHOSEN = ("bowed", "choir-of-one", "ghost-radio", "power-chords", "stained-glass", "talking-drums")
"""They choose among pieces of a clip, and another rounding may choose others: the same, on another processor."""
LEVEL_DB = 3.0


def sound():
    """One second of a guitar, one of speech: `(2, frames)`, the channels at different levels."""
    seconds = []
    for name in ("guitar", "voice"):
        clip, rate = read(CLIPS / f"{name}.flac")
        seconds.append(soxr.resample(clip.mean(0), rate, RATE)[RATE : 2 * RATE])
    return (np.concatenate(seconds) * np.array([[0.5], [0.4]])).astype(np.float32)


def render(name):
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # more would add up in another order
    engine = Engine(load(name), RATE, 2)
    try:
        return engine.render(sound()).astype(np.float64)
    finally:
        engine.close()
        torch.set_num_threads(threads)


def fingerprint(output):
    """Projections of each part `(parts, PROJECTIONS)`, and the peak and the level of the whole."""
    parts = output.T.reshape(-1, PART * 2)
    signs = np.random.RandomState(1).randint(0, 2, (PART * 2, PROJECTIONS)) * 2.0 - 1.0
    return parts @ signs, np.array([np.abs(output).max(), np.sqrt((output**2).mean())])


def difference_db(projections, kept, peak):
    """The level of the difference in the part where it is highest, in dB of the kept render's peak."""
    energy = ((projections - kept) ** 2).mean(axis=1).max() / (PART * 2)
    return 10 * np.log10(energy / peak**2 + 1e-20)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_factory_preset_sounds_as_its_kept_render(name):
    with np.load(KEPT) as kept:
        here = str(kept["processor"]) == get_host_cpu_name()
        before, (peak, level) = kept[f"{name}.projections"], kept[f"{name}.levels"]
    projections, (_, now) = fingerprint(render(name))
    if name in DRAWN or (name in CHOSEN and not here):
        assert abs(20 * np.log10(now / level)) < LEVEL_DB
    else:
        limit_db = LIMITS_DB.get(name, LIMIT_DB) + (0.0 if here else ELSEWHERE_DB)
        assert difference_db(projections, before, peak) < limit_db


@pytest.mark.parametrize("level_db", [-60.0, -100.0, -120.0])
def test_the_level_of_a_difference_is_found_within_three_db(level_db):
    rng = np.random.default_rng(0)
    output, noise = rng.normal(0, 0.1, (2, 2 * RATE)), rng.normal(0, 1, (2, 2 * RATE))
    before, (peak, _) = fingerprint(output)
    after, _ = fingerprint(output + noise * peak * 10 ** (level_db / 20))
    assert difference_db(after, before, peak) == pytest.approx(level_db, abs=3)


def keep():
    found = {"processor": np.array(get_host_cpu_name())}
    before = dict(np.load(KEPT)) if KEPT.exists() else {}
    for name in NAMES:
        output = render(name)
        found[f"{name}.projections"], found[f"{name}.levels"] = fingerprint(output)
        if f"{name}.projections" in before:
            peak = before[f"{name}.levels"][0]
            apart = difference_db(found[f"{name}.projections"], before[f"{name}.projections"], peak)
            print(f"{name:18} {apart:7.1f} dB  {hashlib.sha256(output.tobytes()).hexdigest()[:8]}", flush=True)
    np.savez(KEPT, **found)


if __name__ == "__main__":
    keep()
