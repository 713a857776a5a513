"""Sound in OSC messages: what is packed by hand is byte for byte what python-osc builds, and is read back unchanged."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from gramophone.realtime.live.devices.osc.packet import TO_US, SoundBlock, decode_sound, encode_sound
from gramophone.realtime.osc.packet import encode

NUMBER = st.integers(0, 2**32 - 1)


def signed(number):
    return number - 2**32 if number >= 2**31 else number


@given(NUMBER, NUMBER, st.integers(8_000, 384_000), st.integers(1, 8), st.integers(1, 300), st.integers(0, 99))
def test_a_block_is_packed_as_python_osc_packs_it(stream, number, rate, channels, frames, seed):
    sound = np.random.default_rng(seed).standard_normal((channels, frames)).astype(np.float32)
    packet = encode_sound(SoundBlock(stream, number, rate, sound), TO_US)
    assert packet == encode(TO_US, (signed(stream), signed(number), rate, channels, sound.astype(">f4").tobytes()))
    back = decode_sound(packet, 8, 300)
    assert (back.stream, back.number, back.rate) == (stream, number, rate)
    np.testing.assert_array_equal(back.sound, sound)
