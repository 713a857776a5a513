"""Ridge maps agree with least squares on stacked rows, and lead from the universal map to the speaker's own."""

import pytest
import torch

from gramophone.models.nets.enrolment import (
    EnrolmentError,
    Speech,
    Usual,
    attend,
    converted,
    converted_octaves,
    enrolled,
    map_covariance,
    map_inputs,
    speaker_map,
    unexplained,
    universal_map,
    variance_gains,
)

CONTEXT = (-2, 0, 1)
D, E = 6, 4
KINDS = ("content", "envelope")


def speech(frames=400, seed=0, matrix=None, noise=0.0):
    """Envelopes that follow content by a matrix, `(3 D + 2, E)`, of their context."""
    chance = torch.Generator().manual_seed(seed)
    content = torch.randn(frames, D, generator=chance)
    octaves = 7 + 0.3 * torch.randn(frames, generator=chance)
    octaves[::3] = float("nan")
    voiced = (~octaves.isnan()).float()
    matrix = true_map() if matrix is None else matrix
    envelopes = map_inputs(content, voiced, CONTEXT) @ matrix
    return Speech(
        content, envelopes + noise * torch.randn(frames, E, generator=chance), octaves, torch.ones(frames) > 0
    )


def true_map(seed=9):
    return torch.randn(3 * D + 2, E, generator=torch.Generator().manual_seed(seed))


def test_the_map_is_least_squares_with_the_prior_as_rows_of_its_own():
    spoken, prior, shrinkage = speech(noise=0.3), true_map(1), 50.0
    speaker = enrolled(spoken, CONTEXT)
    inputs = map_inputs(speaker.content(spoken.content), spoken.voiced, CONTEXT)
    wanted = (spoken.envelopes - speaker.envelope_mean) / speaker.envelope_spread
    weight = shrinkage**0.5
    rows = torch.cat([inputs, weight * torch.eye(len(prior))])
    values = torch.cat([wanted, weight * prior])
    expected = torch.linalg.lstsq(rows.double(), values.double()).solution.float()
    torch.testing.assert_close(speaker_map(speaker, prior, shrinkage), expected, rtol=1e-3, atol=1e-3)


def test_shrinkage_leads_from_the_speakers_own_map_to_the_universal_one():
    spoken, prior = speech(), true_map(1)
    speaker = enrolled(spoken, CONTEXT)
    far = [float((speaker_map(speaker, prior, shrinkage) - prior).norm()) for shrinkage in (1.0, 100.0, 1e4, 1e7)]
    assert far == sorted(far, reverse=True)
    assert far[-1] < 1e-2


def test_the_map_is_least_squares_with_a_prior_of_any_covariance():
    spoken, prior, shrinkage = speech(noise=0.3), true_map(1), 50.0
    factor = torch.linalg.qr(true_map(4) @ true_map(5).t()).R.t() + 2 * torch.eye(len(prior))
    speaker = enrolled(spoken, CONTEXT)
    inputs = map_inputs(speaker.content(spoken.content), spoken.voiced, CONTEXT)
    wanted = (spoken.envelopes - speaker.envelope_mean) / speaker.envelope_spread
    weight = shrinkage**0.5 * torch.linalg.inv(factor)
    expected = torch.linalg.lstsq(
        torch.cat([inputs, weight]).double(), torch.cat([wanted, weight @ prior]).double()
    ).solution.float()
    found = speaker_map(speaker, prior, shrinkage, factor @ factor.t())
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3)
    alike = speaker_map(speaker, prior, shrinkage, torch.eye(len(prior)))
    torch.testing.assert_close(alike, speaker_map(speaker, prior, shrinkage))


def test_the_way_in_which_speakers_differ_is_found_and_makes_short_clips_say_more():
    chance = torch.Generator().manual_seed(0)
    way = torch.nn.functional.normalize(torch.randn(3 * D + 2, generator=chance), dim=0)

    def person(seed, frames):
        own = way[:, None] * torch.randn(E, generator=torch.Generator().manual_seed(1000 + seed))
        return enrolled(speech(frames, seed=seed, matrix=true_map() + 2 * own, noise=3.0), CONTEXT, 2)

    universal = universal_map([person(seed, 2000) for seed in range(40)])
    covariance = map_covariance([person(seed, 2000) for seed in range(40)], universal)
    assert float(covariance.diagonal().mean()) == pytest.approx(1)
    torch.linalg.cholesky(covariance)
    values, directions = torch.linalg.eigh(covariance)
    assert abs(float(directions[:, -1] @ way)) > 0.9
    assert float(values[-1]) > 3 * float(values[-2])
    for seed in range(100, 104):
        short, long = person(seed, 80), speaker_map(person(seed, 20_000), universal, 1e-3)
        alike, told = (
            min(float((speaker_map(short, universal, amount, ways) - long).norm()) for amount in (30, 100, 300, 1000))
            for ways in (None, covariance)
        )
        assert told < 0.9 * alike


def test_a_speaker_who_follows_a_map_exactly_is_converted_to_exactly():
    source, target = speech(seed=1, matrix=true_map(2)), speech(2000, seed=2)
    one, other = enrolled(source, CONTEXT), enrolled(target, CONTEXT)
    weights = speaker_map(other, torch.zeros(3 * D + 2, E), 1e-3)
    found = converted(target, other, other, weights, CONTEXT)
    torch.testing.assert_close(found, target.envelopes, rtol=0, atol=0.02)
    octaves = converted_octaves(source.octaves, one, other)
    known = octaves[~octaves.isnan()]
    torch.testing.assert_close(
        torch.stack([known.mean(), known.std(correction=0)]), other.octaves, rtol=1e-3, atol=1e-3
    )


def test_gains_restore_the_variance_that_regression_takes():
    spoken = speech(4000, noise=2.0)
    speaker = enrolled(spoken, CONTEXT)
    weights = speaker_map(speaker, torch.zeros(3 * D + 2, E), 10.0)
    smooth = map_inputs(speaker.content(spoken.content), spoken.voiced, CONTEXT) @ weights
    assert (smooth.std(0) < 0.95).all()
    restored = speaker.envelopes(smooth * variance_gains(speaker, weights))
    torch.testing.assert_close(restored.std(0), spoken.envelopes.std(0), rtol=0.02, atol=0)


def test_what_a_map_does_not_explain_is_left_where_nothing_is_voiced():
    spoken = speech(noise=0.5)
    speaker = enrolled(spoken, CONTEXT)
    weights = true_map(3)
    left = unexplained(spoken, speaker, weights, CONTEXT)
    mapped = speaker.envelopes(map_inputs(speaker.content(spoken.content), spoken.voiced, CONTEXT) @ weights)
    voiced = spoken.voiced > 0
    assert (left[voiced] == 0).all()
    torch.testing.assert_close((mapped + left)[~voiced], spoken.envelopes[~voiced], rtol=1e-4, atol=1e-4)


def test_the_universal_map_of_speakers_who_follow_one_map_is_that_of_each():
    speakers = [enrolled(speech(seed=seed), CONTEXT) for seed in range(3)]
    universal = universal_map(speakers)
    inputs = map_inputs(speakers[0].content(speech(seed=0).content), speech(seed=0).voiced, CONTEXT)
    found = speakers[0].envelopes(inputs @ universal)
    assert float((found - speech(seed=0).envelopes).square().mean() / speech(seed=0).envelopes.var()) < 0.2


def test_a_longer_clip_says_more():
    truth = speech(5000, seed=3)
    prior = torch.zeros(3 * D + 2, E)
    errors = []
    for frames in (60, 300, 3000):
        one = enrolled(speech(frames, seed=4, noise=0.5), CONTEXT)
        found = converted(truth, one, one, speaker_map(one, prior, 10.0), CONTEXT)
        errors.append(float((found - truth.envelopes).square().mean()))
    assert errors == sorted(errors, reverse=True)


def test_attention_at_a_centroid_gives_its_envelope():
    speaker = enrolled(speech(1000), CONTEXT, centroids=8)
    assert speaker.centroids.shape == (8, D)
    found = attend(speaker.centroids, speaker, 1e-3)
    torch.testing.assert_close(found, speaker.centroid_envelopes, rtol=0, atol=1e-3)


def test_silence_is_refused():
    spoken = speech()
    with pytest.raises(EnrolmentError, match="0 audible frames"):
        enrolled(Speech(spoken.content, spoken.envelopes, spoken.octaves, torch.zeros(400) > 0), CONTEXT)
    with pytest.raises(EnrolmentError, match="0 of them voiced"):
        enrolled(Speech(spoken.content, spoken.envelopes, torch.full((400,), float("nan")), spoken.audible), CONTEXT)


def test_usual_statistics_hold_a_short_clip_and_let_a_long_one_be():
    universal = torch.zeros(3 * D + 2, E)
    usual = Usual(torch.stack([torch.full((D,), 5.0), torch.ones(D)]), torch.ones(2, E), universal)
    short, long = (enrolled(speech(frames), CONTEXT, 2, usual) for frames in (60, 20_000))
    assert (short.content_mean > 2).all()
    assert (long.content_mean < 0.2).all()


def test_sounds_that_a_short_clip_has_more_of_move_the_mean_envelope_less():
    whole = speech(6000)
    smooth = whole.content.clone()
    for frame in range(1, len(smooth)):
        smooth[frame] = 0.9 * smooth[frame - 1] + 0.44 * whole.content[frame]
    envelopes = map_inputs(smooth, whole.voiced, CONTEXT) @ true_map()
    own = enrolled(Speech(smooth, envelopes, whole.octaves, whole.audible), CONTEXT, 2)
    content, envelope = (torch.stack([getattr(own, f"{kind}_{of}") for of in ("mean", "spread")]) for kind in KINDS)
    usual, off = Usual(content, envelope, universal_map([own])), torch.zeros(2)
    for start in range(0, 6000, 120):
        here = slice(start, start + 120)
        part = Speech(smooth[here], envelopes[here], whole.octaves[here], whole.audible[here])
        for number, known in enumerate((usual, None)):
            off[number] += (enrolled(part, CONTEXT, 2, known).envelope_mean - own.envelope_mean).norm()
    assert off[0] < 0.8 * off[1]
