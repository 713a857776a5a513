"""The plans, which import no torch, agree with the models and data that they describe."""

import subprocess
import sys
from dataclasses import asdict, fields

import pytest

from gramophone.models.nets.tagger import RATE, TaggerShape
from gramophone.models.nets.wavenet import SIZES
from gramophone.offline.data.descriptors import DESCRIPTORS
from gramophone.offline.data.magnatagatune import SPLITS
from gramophone.offline.train.conditions import SERIES
from gramophone.offline.train.plan import TrainingError
from gramophone.offline.train.plans import DigitsPlan, TaggerPlan, VLAEPlan, WaveNetPlan
from gramophone.offline.train.run_folder import RunFolder, begun_plan
from gramophone.offline.train.voice.plan import VoicePlan

PLANS = (WaveNetPlan, DigitsPlan, VLAEPlan, TaggerPlan, VoicePlan)


@pytest.mark.parametrize("plan", PLANS)
def test_every_field_says_what_it_is_and_its_default_is_allowed(plan):
    for item in fields(plan):
        assert item.metadata["help"].endswith(".")
        least, most = item.metadata["range"]
        choices = item.metadata["choices"]
        assert not choices or item.default in choices, item.name
        assert least is None or item.default >= least, item.name
        assert most is None or item.default <= most, item.name


def test_choices_and_defaults_are_those_of_the_models():
    def choices(plan, name):
        return next(item.metadata["choices"] for item in fields(plan) if item.name == name)

    assert choices(WaveNetPlan, "size") == tuple(SIZES)
    assert choices(WaveNetPlan, "local") == ("", *SERIES)
    assert choices(TaggerPlan, "split") == tuple(SPLITS)
    assert TaggerPlan().rate == RATE
    assert (TaggerPlan().network, TaggerPlan().bands) == (TaggerShape.network, TaggerShape.bands)
    with pytest.raises(TrainingError, match=f"expected {len(DESCRIPTORS)} or more to guide"):
        VLAEPlan(latents=len(DESCRIPTORS) - 1)


def test_a_run_begun_under_earlier_names_of_fields_is_resumed(tmp_path):
    folder, plan = RunFolder(tmp_path), VoicePlan(cycle=0.5, back_conversion=0.1)
    earlier = {present: old for old, present in VoicePlan.RENAMED.items()}
    written = VoicePlan.from_dict({earlier.get(name, name): value for name, value in asdict(plan).items()})
    assert written == plan
    folder.begin(plan, "data")
    folder.plan.write_text(folder.plan.read_text().replace('"cycle"', '"returned"'))
    assert begun_plan(VoicePlan, folder) == plan
    folder.state.touch()
    folder.begin(plan, "data")
    with pytest.raises(TrainingError, match=r"cycle was 0\.5, now 0\.6"):
        folder.begin(VoicePlan(cycle=0.6, back_conversion=0.1), "data")


def test_a_run_that_was_begun_in_a_precision_goes_on_where_none_is_asked_for(tmp_path):
    folder = RunFolder(tmp_path)
    folder.begin(VoicePlan(precision="bf16-mixed"), "data")  # the default until December 2026
    folder.state.touch()
    folder.begin(VoicePlan(), "data")
    with pytest.raises(TrainingError, match="precision was 'bf16-mixed', now '32-true'"):
        folder.begin(VoicePlan(precision="32-true"), "data")


def test_plans_import_neither_torch_nor_numpy():
    code = (
        "import sys, gramophone.offline.train.plans, gramophone.offline.train.voice.plan\n"
        "print([name for name in ('torch', 'numpy') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
