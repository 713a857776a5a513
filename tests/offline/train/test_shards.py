"""Data in shards is learnt from by number: resumed exactly, each shard once an epoch, a broken one named."""

import shutil

import numpy as np
import pytest
import soundfile
import torch

pytest.importorskip("webdataset")

from support.http_files import served

from gramophone.models.checkpoint import load
from gramophone.models.nets.wavenet import SIZES, WaveNetShape
from gramophone.offline.data.corpus import gather
from gramophone.offline.data.recording import DataError
from gramophone.offline.data.shards import gathered_shards, open_shards, write_shards
from gramophone.offline.train import shard_crops
from gramophone.offline.train.crops import Cutter
from gramophone.offline.train.plans import WaveNetPlan
from gramophone.offline.train.run import Machine, train_wavenet
from gramophone.offline.train.run_folder import RunFolder
from gramophone.offline.train.shard_crops import ShardCrops

pytestmark = pytest.mark.train
RATE = 8000
TINY = WaveNetShape(layers=3, cycle=3, residual=4, skip=4)


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    """Two speakers' recordings as shards of a megabyte, and the corpus that they were made of."""
    folder = tmp_path_factory.mktemp("shards")
    chance = np.random.default_rng(0)
    for speaker in ("ann", "bob"):
        (folder / "voices" / speaker).mkdir(parents=True)
        for take in range(40):
            soundfile.write(folder / "voices" / speaker / f"{take}.wav", chance.normal(0, 0.1, 8 * RATE), RATE)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        corpus = gather([str(folder / "voices")], RATE)
        write_shards(corpus, folder / "out", 1)
        yield folder / "out", corpus


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch, shards):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setitem(SIZES, "tiny", TINY)
    monkeypatch.setattr(shard_crops, "CROPS_A_VISIT", 8)


def plan(folder, **given):
    options = {"steps": 60, "batch": 2, "crop": 64, "every": 60, "size": "tiny", "precision": "32-true", **given}
    return WaveNetPlan(data=(f"shards:{folder}",), **options)


def train(of, at, tell=lambda _: None):
    train_wavenet(of, RunFolder(at), Machine("cpu"), 0, tell)
    return load(at / "model.safetensors", "wavenet")[0].state_dict()


def test_shards_hold_every_recording_once_and_what_is_known_of_it(shards):
    folder, corpus = shards
    found = open_shards(str(folder), RATE)
    assert len(found.index.training) > 4
    recordings = [recording for number in range(len(found.index.training)) for recording in found.shard(number)]
    expected = {recording.name: recording for recording in corpus.training}
    assert sorted(recording.name for recording in recordings) == sorted(expected)
    for recording in found.shard(0):
        assert recording.heard == expected[recording.name].heard
        assert recording.speaker == expected[recording.name].speaker
        np.testing.assert_array_equal(np.load(recording.sound), np.load(expected[recording.name].sound))
    assert (found.speakers, found.fingerprint) == (corpus.speakers, corpus.fingerprint)
    assert [recording.name for recording in found.held_out] == [recording.name for recording in corpus.held_out]


def test_a_crop_is_a_function_of_its_number_and_each_shard_is_visited_once_an_epoch(shards, tmp_path):
    corpus = open_shards(str(shards[0]), RATE)
    cutter = Cutter(corpus.speakers, 64, 8)
    alone, first, second = (ShardCrops(corpus, cutter, *given) for given in ((4, 5, 0, 1), (2, 5, 0, 2), (2, 5, 1, 2)))
    for step in (0, 7, 3, 40):
        whole, halves = alone[step], [half[step] for half in (first, second)]
        for name in ("sound", "jitter", "scored", "speaker"):
            torch.testing.assert_close(getattr(whole, name), torch.cat([getattr(half, name) for half in halves]))
    count = len(corpus.index.training)
    visits = [alone.shard_of(number) for number in range(8 * count * 4)]
    runs = [visits[start :: shard_crops.OPEN] for start in range(shard_crops.OPEN)]
    order = [shard for four in zip(*(run[::8] for run in runs), strict=True) for shard in four]
    for epoch in range(4):
        assert sorted(order[epoch * count : (epoch + 1) * count]) == list(range(count))
    assert order[:count] != order[count : 2 * count]
    folders = list((tmp_path / "cache" / "gramophone" / "shards").iterdir())
    assert len(folders) <= corpus.most_kept + len(corpus.index.held_out)  # a disk that is smaller than the data


def test_a_killed_run_resumes_to_the_very_same_weights_from_shards_by_url(shards, tmp_path):
    class KilledError(Exception):
        pass

    def kill(line):
        if line.get("step", 0) >= 120:
            raise KilledError

    with served(shards[0]) as (url, asked):
        of = plan(url, steps=150, every=75)
        with pytest.raises(KilledError):
            train(of, tmp_path / "killed", kill)
        shutil.rmtree(tmp_path / "cache")
        resumed = train(of, tmp_path / "killed")
        assert "/training-000000.tar" in asked
        whole = train(of, tmp_path / "whole")
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def test_a_shard_that_is_cut_short_or_was_changed_is_named(shards, tmp_path):
    folder = tmp_path / "broken"
    shutil.copytree(shards[0], folder)
    last = sorted(folder.glob("training-*.tar"))[-1]
    content = last.read_bytes()
    last.write_bytes(content[: len(content) // 2])
    corpus = open_shards(str(folder), RATE)
    number = len(corpus.index.training) - 1
    with pytest.raises(
        DataError, match=rf"{last}: cut short: {len(content) // 2} bytes of {len(content)}; copy it again"
    ):
        corpus.shard(number)
    last.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(DataError, match=rf"{last}: not as it was written"):
        corpus.shard(number)
    last.unlink()
    with pytest.raises(DataError, match="cannot be read"):
        corpus.shard(number)
    last.write_bytes(content)
    assert corpus.shard(number)
    (folder / "shards.json").write_text("{}")
    with pytest.raises(DataError, match="no index of shards"):
        open_shards(str(folder), RATE)


def test_what_does_not_go_with_shards_is_refused(shards, tmp_path):
    folder, corpus = shards
    with pytest.raises(DataError, match=r"shards at 8000 Hz; expected 16000 Hz"):
        open_shards(str(folder), 16000)
    with pytest.raises(DataError, match="shards go alone"):
        gathered_shards([f"shards:{folder}"], RATE, ["ann"])
    with pytest.raises(DataError, match="shards are there already"):
        write_shards(corpus, folder, 1)
    with pytest.raises(DataError, match="never here all at once"):
        open_shards(str(folder), RATE).training  # noqa: B018
    with pytest.raises(DataError, match="cannot be read"):
        open_shards(str(tmp_path / "nothing"), RATE)
