"""A causal convolutional decoder: latents in, sound out, nothing from the future.

The decoder of neural codecs (SoundStream, Zeghidour et al. 2021): transposed convolutions raise the rate, and
after each come residual units whose dilations widen the receptive field.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from gramophone.models.layers.composition import Residual, Sequential
from gramophone.models.layers.convolution import CausalConv1d, TransposedConv1d
from gramophone.models.layers.streaming import Pointwise, State, Streaming


class CausalDecoder(Streaming):
    """Latents `(B, latents, n)` -> sound `(B, outputs, n * product of strides)` within -1 to 1, delay 0.

    Channels halve with every stride, from `width`. The defaults have 1.2 M parameters and 128 samples per
    latent: at 48 kHz, 375 latents a second.
    """

    def __init__(
        self,
        latents: int = 64,
        width: int = 256,
        strides: Sequence[int] = (8, 4, 4),
        dilations: Sequence[int] = (1, 3, 9),
        kernel: int = 7,
        outputs: int = 1,
    ) -> None:
        super().__init__()
        layers: list[Streaming] = [CausalConv1d(latents, width, 7)]
        for stride in strides:
            layers += [_activation(), TransposedConv1d(width, width // 2, 2 * stride, stride)]
            width //= 2
            layers += [residual_unit(width, kernel, dilation) for dilation in dilations]
        layers += [_activation(), CausalConv1d(width, outputs, 7), Pointwise(nn.Tanh())]
        self.layers = Sequential(*layers)
        self.hop, self.up, self.delay = self.layers.hop, self.layers.up, self.layers.delay

    def initial_state(self, x: Tensor) -> State:
        """Silence in every layer."""
        return self.layers.initial_state(x)

    def step(self, x: Tensor, state: State, *controls: Tensor) -> tuple[Tensor, State]:
        """Decode one chunk of latents."""
        return self.layers.step(x, state)


def residual_unit(channels: int, kernel: int, dilation: int) -> Residual:
    """Return a dilated convolution and a 1x1 with the input added: `(B, C, T)` -> `(B, C, T)`."""
    return Residual(
        Sequential(
            _activation(),
            CausalConv1d(channels, channels, kernel, dilation),
            _activation(),
            CausalConv1d(channels, channels, 1),
        )
    )


def _activation() -> Pointwise:
    return Pointwise(nn.LeakyReLU(0.2))
