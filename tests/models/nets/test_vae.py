"""The bound is a bound, its parts are what they say, and a model is an encoder and a decoder and nothing else."""

import itertools
import math

import pytest
import torch
from torch import nn
from torch.distributions import Bernoulli, Categorical, Independent, Normal

from gramophone.models.layers.masked import MaskedConv2d, MaskedStack
from gramophone.models.nets.autoregressive import Autoregressive
from gramophone.models.nets.posterior_collapse import ablations, active_units, measure
from gramophone.models.nets.prior_flow import FlowPrior
from gramophone.models.nets.prior_series import SeriesPrior
from gramophone.models.nets.vae import VAE, Bound, closed_kl, gaussian, per_example, sampled_kl

GRID = torch.linspace(-9, 9, 4001, dtype=torch.float64)
STEP = float(GRID[1] - GRID[0])


@pytest.fixture(autouse=True)
def repeatable():
    torch.manual_seed(0)


class Coins(VAE):
    """One latent, three coins; the posterior is off on purpose."""

    def __init__(self):
        super().__init__()
        self.slopes = nn.Parameter(torch.tensor([2.0, -1.0, 0.5]))

    def posterior(self, x, *given):
        return Normal(x.sum(1, keepdim=True) * 0.4 - 0.2, torch.full((len(x), 1), 0.8))

    def conditional(self, z, *given):
        return Bernoulli(logits=z * self.slopes)


class Series(VAE):
    """Symbols in time -> one latent per two symbols, under a learned prior -> symbols."""

    def __init__(self):
        super().__init__()
        self.encoder = nn.Conv1d(1, 4, 2, 2)
        self.decoder = nn.ConvTranspose1d(2, 5, 2, 2)
        self.frames = SeriesPrior(2, width=8)

    def posterior(self, x, *given):
        return gaussian(self.encoder(x[:, None].float()))

    def conditional(self, z, *given):
        return Categorical(logits=self.decoder(z).transpose(1, 2))

    def prior(self, *given):
        return self.frames.distribution(torch.zeros(3, 2, 6))


def integrated(model, x):
    """The log probability and the bound of each example, by brute force over one latent."""
    model = model.double()
    z = GRID[:, None]
    bounds, evidence = [], []
    for example in x.double():
        posterior = model.posterior(example[None]).log_prob(z)[:, 0]
        joint = model.conditional(z).log_prob(example.expand(len(z), -1)).sum(1) + model.prior().log_prob(z)[:, 0]
        evidence.append((joint.logsumexp(0) + math.log(STEP)).item())
        bounds.append(((joint - posterior) * posterior.exp()).sum().item() * STEP)
    return torch.tensor(evidence), torch.tensor(bounds)


@pytest.fixture
def coins():
    x = torch.tensor(list(itertools.product([0.0, 1.0], repeat=3)))
    return Coins(), x, *integrated(Coins(), x)


def test_the_bound_is_what_brute_force_integration_gives_and_below_the_evidence(coins):
    model, x, evidence, expected = coins
    assert evidence.exp().sum() == pytest.approx(1, abs=1e-6)
    assert (expected < evidence).all()
    for sampled in (False, True):
        elbo = model(x.repeat(40_000, 1), sampled=sampled).elbo.reshape(-1, 8).mean(0)
        torch.testing.assert_close(elbo.detach(), expected, rtol=0, atol=0.02)


def test_the_importance_weighted_bound_rises_with_samples_to_the_evidence(coins):
    model, x, evidence, expected = coins
    many = x.repeat(5000, 1)
    means = [model.importance_bound(many, k).reshape(-1, 8).mean(0) for k in (1, 4, 16, 64)]
    torch.testing.assert_close(means[0], expected, rtol=0, atol=0.1)
    for fewer, more in itertools.pairwise(means):
        assert (more > fewer - 0.03).all()
        assert more.mean() > fewer.mean()
    close = model.importance_bound(x.repeat(20, 1), 5000, at_once=700).reshape(-1, 8).mean(0)
    torch.testing.assert_close(close, evidence, rtol=0, atol=0.03)


def test_how_many_samples_are_in_memory_does_not_change_the_importance_bound():
    class Certain(Coins):
        """Draws the same latents however many are asked for."""

        def posterior(self, x, *given):
            posterior = super().posterior(x)
            drawn = iter(torch.linspace(-1, 1, 7))
            posterior.sample = lambda shape: torch.stack([next(drawn).expand(len(x), 1) for _ in range(shape[0])])
            return posterior

    x = torch.tensor([[1.0, 0, 1], [0, 0, 1]])
    torch.testing.assert_close(Certain().importance_bound(x, 7, at_once=3), Certain().importance_bound(x, 7, at_once=7))
    with pytest.raises(ValueError, match="expected at least 1"):
        Certain().importance_bound(x, 0)


def test_the_bound_of_an_example_does_not_depend_on_the_others():
    model = Coins()
    x = torch.tensor([[1.0, 0, 1], [0, 0, 1], [1, 1, 1]])
    torch.manual_seed(3)
    whole = model(x).elbo
    changed = x.clone()
    changed[1:] = 1 - changed[1:]
    torch.manual_seed(3)
    assert torch.equal(model(changed).elbo[0], whole[0])


def test_kl_in_closed_form_is_the_mean_of_sampled_ones():
    posterior = Normal(torch.tensor([[0.5, -1.0, 2.0]]), torch.tensor([[0.3, 1.0, 2.0]]))
    prior = Normal(torch.zeros(()), torch.ones(()))
    closed = closed_kl(posterior, prior, posterior.rsample())
    z = posterior.expand((20_000, 3)).sample()
    torch.testing.assert_close(sampled_kl(posterior, prior, z).mean(0), closed[0], rtol=0, atol=0.08)
    joined = closed_kl(Independent(posterior, 1), Independent(Normal(torch.zeros(1, 3), torch.ones(1, 3)), 1), None)
    torch.testing.assert_close(joined, closed.sum(1))


def test_kl_to_an_autoregressive_prior_is_the_mean_of_sampled_ones_and_never_negative():
    prior = taught_prior()
    posterior = Normal(torch.randn(1, 2, 4).expand(20_000, -1, -1), torch.full((20_000, 2, 4), 0.6))
    z = posterior.sample()
    distribution = prior.distribution(z)
    with torch.no_grad():
        closed, sampled = (kl(posterior, distribution, z) for kl in (closed_kl, sampled_kl))
    assert closed.min() >= 0
    torch.testing.assert_close(sampled.mean(0), closed.mean(0), rtol=0, atol=0.05)
    assert closed.sum((1, 2)).var() < sampled.sum((1, 2)).var()


def test_a_prior_that_joins_dimensions_gives_a_kl_of_the_whole():
    flow = taught(FlowPrior(3, hidden=8))
    posterior = Normal(torch.zeros(5, 3), torch.ones(5, 3))
    z = posterior.sample()
    assert closed_kl(posterior, flow(), z).shape == (5,)
    torch.testing.assert_close(closed_kl(posterior, FlowPrior(3)(), z), torch.zeros(5))


def test_free_bits_stop_the_gradient_of_what_costs_less():
    kl = torch.tensor([[0.1, 3.0], [0.3, 1.0]], requires_grad=True)
    bound = Bound(torch.tensor([-5.0, -7.0]), kl, torch.zeros(2, 2))
    loss = bound.loss(weight=0.5, free_nats=0.4)
    assert loss.item() == pytest.approx(6 + 0.5 * (0.4 + 2.0))
    loss.backward()
    assert torch.equal(kl.grad, torch.tensor([[0, 0.25], [0, 0.25]]))
    assert bound.loss().item() == pytest.approx(-bound.elbo.mean().item())


def test_free_bits_of_a_series_are_per_frame():
    kl = torch.tensor([[[0.0, 0.2, 0.4], [3.0, 1.0, 2.0]]])
    assert Bound(torch.zeros(1), kl, kl).loss(free_nats=0.5).item() == pytest.approx(3 * (0.5 + 2.0))


def test_a_model_of_a_series_learns_and_its_prior_with_it():
    model = Series()
    run = torch.cumsum(torch.randint(0, 2, (64, 3, 12)), 2) % 5
    optimiser = torch.optim.Adam(model.parameters(), 0.02)
    first = model(run[0]).loss().item()
    for x in run.repeat(2, 1, 1):
        optimiser.zero_grad()
        bound = model(x)
        bound.loss().backward()
        optimiser.step()
    assert bound.kl.shape == (3, 2, 6)
    assert bound.loss() < first - 2
    assert model.prior().sample().shape == (3, 2, 6)
    assert model.importance_bound(run[0], 8, at_once=8).shape == (3,)


@pytest.mark.parametrize(
    ("distribution", "x"),
    [
        (lambda z: Bernoulli(logits=z), torch.ones(4, 2)),
        (lambda z: Normal(z, 1.0), torch.ones(4, 2)),
        (lambda z: Independent(Normal(z, 1.0), 1), torch.ones(4, 2)),
        (lambda z: Categorical(logits=z), torch.ones(4)),
        (
            lambda z: Autoregressive(lambda x: Bernoulli(logits=z + x.roll(1, 1) * torch.tensor([0, 1.0])), z),
            torch.ones(4, 2),
        ),
    ],
    ids=["bernoulli", "gaussian", "joined", "categorical", "autoregressive"],
)
def test_any_distribution_decodes(distribution, x):
    class Model(VAE):
        def posterior(self, x, *given):
            return Normal(torch.zeros(4, 2), 1.0)

        def conditional(self, z, *given):
            return distribution(z)

    bound = Model()(x)
    assert bound.elbo.shape == (4,)
    assert bound.kl.shape == (4, 2)


def test_an_autoregressive_distribution_sums_to_one_and_draws_what_it_says():
    weight = torch.tensor([0.0, 2.0, -1.0, 1.5])

    def predict(x):
        before = torch.nn.functional.pad(x, (1, -1)).cumsum(1)
        return Bernoulli(logits=before * weight + 0.3)

    strings = torch.tensor(list(itertools.product([0.0, 1.0], repeat=4)))
    probability = per_example(Autoregressive(predict, strings).log_prob(strings)).exp()
    assert probability.sum().item() == pytest.approx(1, abs=1e-6)
    drawn = Autoregressive(predict, torch.zeros(60_000, 4)).sample()
    share = torch.bincount((drawn @ torch.tensor([8.0, 4, 2, 1])).long(), minlength=16) / 60_000
    torch.testing.assert_close(share, probability, rtol=0, atol=0.01)
    with pytest.raises(ValueError, match="larger batch"):
        Autoregressive(predict, strings).sample((2,))


def taught(module):
    """The module with weights that say something."""
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.2)
    return module


def taught_prior(size=2):
    return taught(SeriesPrior(size, width=8, dilations=(1, 2)))


def test_the_series_prior_streams():
    prior = taught_prior().double()
    z = torch.randn(2, 2, 20, dtype=torch.float64)
    whole, _ = prior(z)
    state, pieces = None, []
    for chunk in z.split([1, 2, 9, 5, 3], 2):
        piece, state = prior(chunk, state)
        pieces.append(piece)
    torch.testing.assert_close(torch.cat(pieces, 2), whole, rtol=0, atol=1e-12)


def test_a_series_drawn_in_chunks_is_the_one_that_the_noise_stands_for():
    prior = taught_prior().double()
    noise = torch.randn(3, 2, 12, dtype=torch.float64)
    whole, _ = prior.drawn(noise)
    first, state = prior.drawn(noise[:, :, :5])
    rest, _ = prior.drawn(noise[:, :, 5:], first[:, :, -1:], state)
    torch.testing.assert_close(torch.cat([first, rest], 2), whole, rtol=0, atol=1e-12)
    predicted = prior.distribution(whole).predict(whole)
    torch.testing.assert_close((whole - predicted.mean) / predicted.scale, noise)


def test_the_series_prior_hears_only_the_past_and_starts_as_the_normal_one():
    z = torch.randn(1, 2, 9, requires_grad=True)
    torch.testing.assert_close(SeriesPrior(2).distribution(z).log_prob(z), Normal(0.0, 1.0).log_prob(z))
    taught_prior().distribution(z).predict(z).mean[0, :, 5].sum().backward()
    heard = z.grad[0].abs().sum(0) > 0
    assert heard.tolist() == [True] * 5 + [False] * 4


def test_the_flow_prior_integrates_to_one_and_inverts():
    flow = taught(FlowPrior(2, couplings=3, hidden=8)).double()()
    axis = torch.linspace(-12, 12, 601, dtype=torch.float64)
    points = torch.cartesian_prod(axis, axis)
    mass = flow.log_prob(points).exp().sum() * (axis[1] - axis[0]) ** 2
    assert mass.item() == pytest.approx(1, abs=1e-3)
    x = torch.randn(5, 2, dtype=torch.float64)
    for coupling in flow.transforms:
        y = coupling(x)
        torch.testing.assert_close(coupling.inv(y), x)
        jacobian = torch.func.vmap(torch.func.jacrev(coupling._call))(x)
        torch.testing.assert_close(coupling.log_abs_det_jacobian(x, y), torch.linalg.slogdet(jacobian)[1])
    with pytest.raises(ValueError, match="2 or more"):
        FlowPrior(1)


@pytest.mark.parametrize("reach", [1, 2, 4])
def test_a_pixel_hears_those_before_it_within_reach_and_no_other(reach):
    stack = MaskedStack(2, 3, reach).double()
    side, row, column = 13, 7, 6
    x = torch.zeros(1, 1, side, side, dtype=torch.float64, requires_grad=True)
    maps = torch.randn(1, 2, side, side, dtype=torch.float64, requires_grad=True)
    stack(x + torch.rand(side, side), maps)[0, :, row, column].sum().backward()
    heard = {tuple(place) for place in x.grad[0, 0].nonzero().tolist()}
    before = {(r, c) for r in range(side) for c in range(side) if (r, c) < (row, column)}
    near = {(r, c) for r, c in before if row - r <= reach and abs(column - c) <= reach}
    assert heard <= near
    assert min(r for r, _ in heard) == row - reach
    assert min(c for _, c in heard) == column - reach
    mapped = {tuple(place) for place in maps.grad.abs().sum((0, 1)).nonzero().tolist()}
    assert (row, column) in mapped
    assert mapped <= near | {(row, column)}


def test_a_masked_convolution_is_a_masked_plain_one():
    layer = MaskedConv2d(2, 3, 2, own=True)
    whole = torch.zeros(3, 2, 5, 5)
    whole[:, :, :3] = layer.convolution.weight.detach()
    whole[:, :, 2, 3:] = 0
    x = torch.randn(1, 2, 9, 9)
    expected = nn.functional.conv2d(x, whole, layer.convolution.bias, padding=2)
    torch.testing.assert_close(layer(x), expected)
    with pytest.raises(ValueError, match="at least 1"):
        MaskedStack(1, 1, 0)


class Copier(VAE):
    """Knows the first of two numbers exactly, and nothing of the second."""

    def posterior(self, x, *given):
        return Normal(x * torch.tensor([1.0, 0.0])[:, None], torch.tensor([0.1, 1.0])[:, None].expand_as(x))

    def conditional(self, z, *given):
        return Normal(z, 1.0)


def test_measures_tell_what_the_latents_carry():
    batches = [(torch.randn(50, 2, 4),) for _ in range(20)]
    found = measure(Copier(), batches, torch.Generator().manual_seed(1))
    assert found.active.tolist() == [True, False]
    # KL of N(x, 0.1) to N(0, 1), the mean over x of unit variance; and none.
    assert found.kl[0].item() == pytest.approx(math.log(10) + (0.01 + 1) / 2 - 0.5, abs=0.05)
    assert found.kl[1].item() == pytest.approx(0, abs=1e-6)
    assert found.above(0.5) == 1
    assert found.kl_bits == pytest.approx(found.kl.sum().item() / 2 / math.log(2), rel=1e-5)
    assert found.total == found.bits["right"] + found.kl_bits
    assert found.bits["right"] < found.bits["shuffled"]
    # Of 2 numbers, one is 0.1 off, or as far as two examples are; the other is noise in any case.
    noise = 0.5 * math.log(2 * math.pi) + 1.0
    assert found.bits["right"] == pytest.approx(
        (0.5 * math.log(2 * math.pi) + 0.005 + noise) / 2 / math.log(2), abs=0.05
    )
    assert found.bits["another"] == pytest.approx((noise + 0.005 + noise) / 2 / math.log(2), abs=0.05)


def test_ablations_are_wrong_as_they_say():
    z = torch.randn(4, 2, 7)
    wrong = ablations(z, torch.Generator().manual_seed(0))
    assert wrong["right"] is z
    assert torch.equal(wrong["shuffled"].sort(2).values, z.sort(2).values)
    assert not torch.equal(wrong["shuffled"], z)
    assert all((wrong["another"][i] != z[i]).any() for i in range(4))
    assert not wrong["zero"].any()
    assert "shuffled" not in ablations(z[:, :, 0], torch.Generator())
    with pytest.raises(ValueError, match="two or more"):
        ablations(z[:1], torch.Generator())
    with pytest.raises(ValueError, match="no batches"):
        measure(Copier(), [], torch.Generator())


def test_active_units_are_those_whose_mean_moves():
    means = torch.stack([torch.randn(1000), torch.randn(1000) * 0.05, torch.full((1000,), 3.0)], 1)
    assert active_units(means).tolist() == [True, False, False]
