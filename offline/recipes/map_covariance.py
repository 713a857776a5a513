"""How people's maps differ, for anybody's voice: `python -m gramophone.offline.recipes.map_covariance MODEL OUT`.

`MODEL` is what `offline.recipes.anyone` makes; `offline.recipes.residual` comes next. Recordings of people say in which
directions their maps lie around the universal one, and the voices that the model knows are enrolled anew with that. It
takes minutes, and no training. Nothing of the people that conversions are judged by is used.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
import torch

from gramophone.models.checkpoint import load, save
from gramophone.models.nets.anyone import Anyone
from gramophone.models.nets.enrolment import map_covariance
from gramophone.offline.data import corpora
from gramophone.offline.recipes.anyone import people
from gramophone.offline.recipes.residual import recorded
from gramophone.realtime.stages.voice.clip import speech_in

_SHRINKAGES = 3e4, 3e3, 3e2
"""About what makes maps explain most of people who are not among these, by 20 s of each, is the second."""


def main() -> None:
    """Learn the covariance, and write the model with it."""
    parser = argparse.ArgumentParser(description="Learn how people's maps differ.")
    parser.add_argument("model", type=Path)
    parser.add_argument("out", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    loaded, card = load(arguments.model, "anyone")
    plain = cast(Anyone, loaded)
    model = Anyone(replace(plain.shape, shrinkages=_SHRINKAGES, has_covariance=True)).eval()
    model.load_state_dict(plain.state_dict(), strict=False)
    speakers = []
    for name, sounds in recorded((*corpora.PEOPLE, *corpora.FURTHER, *corpora.GAMES)):
        speakers.append(plain.enrolled(speech_in(plain, np.concatenate(sounds))))
        print(f"{name}: {float(speakers[-1].frames):.0f} frames", flush=True)
    assert model.map_covariance is not None
    model.map_covariance.copy_(map_covariance(speakers, model.universal))
    known = (model.enrolled(speech_in(model, np.concatenate(sounds))) for _, sounds in people())
    model.set_known([model.voice(speaker) for speaker in known])
    model.encoder.trunk.half()  # loaded as single precision again
    save(arguments.out, model, card.learnt_from(*map(corpora.card_entry, corpora.GAMES)))


if __name__ == "__main__":
    main()
