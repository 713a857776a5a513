"""The trial of a TorchScript model, in a process of its own: whether it does what it says, and how late it is."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gramophone.realtime.kernels.arrays import Floats

_RATES = range(8_000, 192_001)
_USUAL_RATE = 44_100
_MOST_LATENTS, _LONGEST_HOP = 512, 65_536
_FRAMES = 4
_TRIAL_S = 2.0
_ALIKE = 0.3
"""Correlation from which on an output counts as its input, later."""


def tried(path: str) -> dict[str, Any]:
    """Return the fields of `TorchScriptModel` for a file.

    Raises:
        ValueError: it cannot be loaded, fails, or does not do what it says; the message says what was expected.
    """
    torch.set_num_threads(1)
    try:
        model = torch.jit.load(path, map_location="cpu").eval()  # type: ignore[no-untyped-call]
    except (RuntimeError, OSError) as error:
        raise ValueError(f"cannot be loaded: {_first_line(error)}") from None
    inputs, ratio, latents, hop = _params(model, "encode")
    taken, decoded_ratio, outputs, back = _params(model, "decode")
    if (ratio, back, taken, decoded_ratio) != (1, 1, latents, hop):
        raise ValueError(
            f"encodes {inputs} channels to {latents} latents at 1/{hop} of the rate, "
            f"but decodes {taken} at 1/{decoded_ratio} to 1/{back}; expected the same"
        )
    if not (1 <= inputs <= 2 and 1 <= outputs <= 2 and latents <= _MOST_LATENTS and hop <= _LONGEST_HOP):
        raise ValueError(
            f"{inputs} to {outputs} channels, {latents} latents every {hop} samples; expected one or two channels, "
            f"at most {_MOST_LATENTS} latents and {_LONGEST_HOP} samples"
        )
    rate = _rate(model)
    delay = _delay(model, rate, inputs, latents, outputs, hop)
    return {
        "rate": rate,
        "hop": hop,
        "latents": latents,
        "inputs": inputs,
        "outputs": outputs,
        "delay": delay,
        "attributes": _attributes(model),
    }


def _params(model: Any, method: str) -> tuple[int, int, int, int]:
    if not hasattr(model, method):
        raise ValueError(f"has no method {method!r}; expected one that encodes and decodes")
    params = getattr(model, f"{method}_params", None)
    if not isinstance(params, Tensor) or params.numel() != 4 or not (params > 0).all():
        raise ValueError(f"no usable {method}_params; expected input channels, ratio, output channels, ratio")
    first, second, third, fourth = (int(each) for each in params.tolist())
    return first, second, third, fourth


def _rate(model: Any) -> int:
    """Return the sample rate that the model was trained at, where it says so."""
    for name in ("sr", "sampling_rate", "sample_rate"):
        found = getattr(model, name, None)
        if isinstance(found, Tensor) and found.numel() == 1:
            found = found.item()
        if isinstance(found, int | float) and not isinstance(found, bool) and found in _RATES:
            return int(found)
    return _USUAL_RATE


def _delay(model: Any, rate: int, inputs: int, latents: int, outputs: int, hop: int) -> int:
    """Return by how many samples the output is later than the input, after checking the shapes of both methods.

    The first half of the sound is silence, in which states settle, then noise in bursts. Where the output is like the
    input, the lag at which their product is largest is the delay; else that of their envelopes, else 0.
    """
    hops = _FRAMES * math.ceil(_TRIAL_S * rate / hop / _FRAMES)
    rng = np.random.default_rng(0)
    sound = rng.normal(0, 0.2, hops * hop) * (rng.random(hops * hop // 512 + 1) < 0.3).repeat(512)[: hops * hop]
    sound[: len(sound) // 4] = 0
    heard = np.concatenate(
        [
            _through(model, piece, inputs, latents, outputs, hop)
            for piece in np.split(sound.astype(np.float32), hops // _FRAMES)
        ]
    )
    longest = min(rate, len(sound) // 2)
    for first, second in ((sound, heard), (_envelope(sound, rate), _envelope(heard, rate))):
        lag, likeness = _lag(first, second, longest)
        if likeness >= _ALIKE:
            return lag
    return 0


@torch.inference_mode()
def _through(model: Any, piece: Floats, inputs: int, latents: int, outputs: int, hop: int) -> Floats:
    """Return what the model makes of `(n * hop,)` samples: `(n * hop,)`, the mean of its channels."""
    x = torch.from_numpy(piece)[None, None].expand(1, inputs, -1)
    try:
        z = model.encode(x)
        _demand(z, "encode", (1, latents, len(piece) // hop))
        y = model.decode(z)
        _demand(y, "decode", (1, outputs, len(piece)))
    except ValueError:
        raise
    except Exception as error:
        raise ValueError(f"fails on {len(piece)} samples: {_first_line(error)}") from None
    return np.asarray(y[0].mean(0).numpy(), np.float32)


def _demand(found: Any, method: str, shape: tuple[int, ...]) -> None:
    if not isinstance(found, Tensor) or tuple(found.shape) != shape:
        shown = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
        raise ValueError(f"{method} returned {shown}; by its own ratios it should be {shape}")
    if not torch.isfinite(found).all():
        raise ValueError(f"{method} returned numbers that are not finite")


def _lag(first: Any, second: Any, longest: int) -> tuple[int, float]:
    """Return the lag of `second` behind `first`, 0 to `longest`, and their correlation there."""
    size = 2 ** (len(first) + longest).bit_length()
    first, second = first - first.mean(), second - second.mean()
    product = np.fft.irfft(np.fft.rfft(second, size) * np.conj(np.fft.rfft(first, size)), size)[: longest + 1]
    lag = int(np.abs(product).argmax())
    return lag, float(abs(product[lag]) / (np.linalg.norm(first) * np.linalg.norm(second) + 1e-20))


def _envelope(sound: Any, rate: int) -> Any:
    width = rate // 200
    return np.convolve(np.abs(sound), np.ones(width) / width, "same")


def _attributes(model: Any) -> dict[str, float | bool]:
    """Return the numbers and switches among the model's own settings; an attribute of several values is left out."""
    found: dict[str, float | bool] = {}
    if not hasattr(model, "get_attributes"):
        return found
    for name in model.get_attributes():
        getter = getattr(model, f"get_{name}", None)
        value = getter() if getter and hasattr(model, f"set_{name}") else None
        value = value[0] if isinstance(value, tuple | list) and len(value) == 1 else value
        if isinstance(value, bool | int | float) and math.isfinite(value):
            found[str(name)] = value
    return found


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1][:200] if lines else type(error).__name__
