"""A session's preset is read back from the parameter memory: the session holds no values itself."""

from gramophone.presets import load
from gramophone.realtime.live.messages import Refused
from gramophone.realtime.live.parameter_memory import ParameterMemory
from gramophone.realtime.live.preset_generations import PresetGenerations
from gramophone.realtime.parameter_table import complete, values_of, with_values
from gramophone.realtime.switches import SWITCHES


def test_the_preset_is_what_the_memory_holds_whatever_was_set():
    memory = ParameterMemory(64, len(SWITCHES))
    generations = PresetGenerations(memory)
    preset = complete(load("hall"))
    assert generations.preset is None
    now = generations.add(preset)
    assert generations.preset == preset
    changes = {"hall.wet": 0.123456789, "style.bypass": True}
    memory.set(now.number, {now.index[address]: float(value) for address, value in changes.items()})
    now.texts["style.clip"] = "/a/clip.wav"
    memory.set(now.number, {now.index["style.clip"]: 1.0, -1: 1.0})
    assert generations.preset == with_values(preset, {**changes, "style.clip": "/a/clip.wav"})
    assert type(values_of(generations.preset)["style.bypass"]) is bool
    memory.close()


def test_a_refused_generation_gives_way_to_the_one_that_plays_with_its_values():
    memory = ParameterMemory(64, len(SWITCHES))
    generations = PresetGenerations(memory)
    playing = generations.add(complete(load("hall")))
    memory.set(playing.number, {playing.index["hall.wet"]: 0.75})
    refused = generations.add(complete(load("wide")))
    assert generations.go_back(Refused("broken", refused.number, playing.number))
    assert values_of(generations.preset)["hall.wet"] == 0.75
    assert not generations.go_back(Refused("broken", refused.number, playing.number)), "it has been left already"
    memory.close()
