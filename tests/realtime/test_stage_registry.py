"""Stages of other packages: found by their entry points, named when they fail, never in the place of ours."""

from importlib.metadata import EntryPoint

import numpy as np
import pytest

from gramophone.models.parameters import Parameter
from gramophone.presets import Preset, PresetError, StageSettings
from gramophone.realtime import stage_registry
from gramophone.realtime.engine import Engine
from gramophone.realtime.parameter_table import complete
from gramophone.realtime.stage import Stage
from gramophone.realtime.stage_registry import KindError, kinds, make_stage


class Halved(Stage):
    parameters = (Parameter("share", 0.5, "how much is left"),)

    def __init__(self, form, values):
        self.share = values["share"]

    def set(self, name, value):
        self.share = value

    def process(self, block):
        return block * np.float32(self.share)


@pytest.fixture(autouse=True)
def packages(monkeypatch):
    here = f"{__name__}:Halved"
    points = {name: EntryPoint(name, value, "gramophone.stages") for name, value in (("halved", here), ("gain", here))}
    points |= {
        "gone": EntryPoint("gone", "no_such_module:Stage", "gramophone.stages"),
        "no-stage": EntryPoint("no-stage", "math:pi", "gramophone.stages"),
    }
    monkeypatch.setattr(stage_registry, "_of_packages", lambda: points)


def preset(kind, **values):
    return Preset("own", (StageSettings("mine", kind, values),))


def test_a_stage_of_another_package_plays_with_its_parameters_in_the_table():
    engine = Engine(preset("halved", share=0.25), 48_000, 1)
    assert engine.parameters["mine.share"].description == "how much is left"
    np.testing.assert_array_equal(engine.process(np.ones((1, 8), np.float32)), np.full((1, 8), 0.25, np.float32))
    assert "halved" in kinds()


def test_ours_go_before_another_package_of_the_same_name():
    assert not isinstance(make_stage("gain", stage_registry.Format(48_000, 1), {"gain": 0.0}), Halved)
    assert kinds().count("gain") == 1


@pytest.mark.parametrize(("kind", "why"), [("gone", "no_such_module"), ("no-stage", "expected a subclass")])
def test_one_that_cannot_be_used_is_named(kind, why):
    with pytest.raises(PresetError, match=rf"mine.*{kind}.*{why}"):
        complete(preset(kind))
    with pytest.raises(KindError, match="unknown kind"):
        make_stage("nothing", stage_registry.Format(48_000, 1), {})
