"""Vocoder features stream like every layer, and are aligned with the moment that they describe."""

import pytest
import torch

from gramophone.models.layers.vocoder_features import LogMel, aligned_log_mel, pitch_channels


def test_any_chunks_give_what_the_whole_gives():
    extractor = LogMel(8000, 40, 12)
    sound = torch.randn(2, 1, 1200, generator=torch.Generator().manual_seed(0)) * 0.1
    whole, _ = extractor(sound)
    assert whole.shape == (2, 12, 30)
    state, pieces = None, []
    for chunk in sound.split([40, 360, 80, 720], 2):
        piece, state = extractor(chunk, state)
        pieces.append(piece)
    torch.testing.assert_close(torch.cat(pieces, 2), whole)


@pytest.mark.parametrize("place", [150, 400, 777])
def test_aligned_frames_are_loudest_where_the_sound_is(place):
    sound = torch.zeros(1, 1, 1200)
    sound[0, 0, place] = 1
    frames = aligned_log_mel(LogMel(8000, 40, 12), sound)
    assert frames.shape == (1, 12, 30)
    loudest = frames[0].mean(0).argmax().item()
    assert abs((loudest + 0.5) * 40 - place) <= 40


def test_features_of_levelled_sound_lie_about_zero():
    sound = torch.randn(1, 1, 16_000, generator=torch.Generator().manual_seed(0)) * 0.1
    frames, _ = LogMel(8000, 80, 40)(sound)
    assert frames[:, :, 4:].abs().max() < 3


def test_pitch_is_in_octaves_and_silent_where_there_is_none():
    assert pitch_channels(torch.tensor([[160.0, 0.0, 320.0]]))[0].tolist() == [[0, 0, 1], [1, 0, 1]]


def test_odd_windows_are_refused():
    with pytest.raises(ValueError, match="even number of hops"):
        LogMel(8000, 40, 12, 120)
