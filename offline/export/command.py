"""`gramophone export`: a model for other programs, with what was measured of each file."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from gramophone.offline.console import add_row, new_table, print_json, print_table, wrote
from gramophone.offline.export.measured import Figures
from gramophone.offline.export.parts import parts_of
from gramophone.offline.extras import need
from gramophone.offline.results import demand_new
from gramophone.presets.models import SUFFIX, model_file
from gramophone.realtime.kernels.onnx_export import ExportError

FORMATS = {"onnx": ".onnx", "nn~": ".ts"}


def run(model: str, form: str, out: Path, part: str, *, overwrite: bool, json: bool) -> None:
    """Write a model's parts as `form`, and print what was measured of each file.

    Raises:
        PresetError: there is no such model.
        ExportError: it has no such part, cannot be exported, or a file fails its check.
        MissingLibraryError: a library that this format needs is missing.
        ResultError: one of several files is there already, and not to be overwritten.
    """
    path = model_file(model)
    if path.suffix != SUFFIX:
        raise ExportError(f"{path}: expected a model of Gramophone's, {SUFFIX}")
    files = _to_onnx(path, out, part, overwrite=overwrite) if form == "onnx" else _to_nn(path, out, part)
    if json:
        print_json({"files": [{"file": str(file), "part": name, **asdict(one)} for file, name, one in files]})
        return
    table = new_table("part", "difference over 10 s", "times real time", "half of a change is through after")
    for _, name, one in files:
        add_row(table, name, f"{one.difference:.1e}", f"{one.speed:.2f}", f"{one.latency} samples")
    print_table(table)
    wrote(*dict.fromkeys(file for file, _, _ in files))


def _to_onnx(path: Path, out: Path, wanted: str, *, overwrite: bool) -> list[tuple[Path, str, Figures]]:
    """Write each part, or the wanted one; of several, a file's name has that of the part before its end."""
    need("onnx", "onnxruntime")
    from gramophone.offline.export.onnx_file import write_onnx

    parts, card = parts_of(path)
    names = [part.name for part in parts]
    if wanted and wanted not in names:
        raise ExportError(f"{path}: no part {wanted!r}; expected one of {', '.join(names)}")
    chosen = [part for part in parts if wanted in ("", part.name)]
    files = {part.name: out.with_suffix(f".{part.name}{out.suffix}") if len(chosen) > 1 else out for part in chosen}
    demand_new(files.values(), overwrite=overwrite)
    return [(files[part.name], part.name, write_onnx(files[part.name], part, card)) for part in chosen]


def _to_nn(path: Path, out: Path, wanted: str) -> list[tuple[Path, str, Figures]]:
    """Write all methods into one file."""
    if wanted:
        raise ExportError(f"part {wanted!r}: a file for nn~ holds all of the model's methods")
    need("nn_tilde", "cached_conv")
    from gramophone.offline.export.nn_file import write_nn
    from gramophone.offline.export.nn_methods import nn_model_of

    model, card = nn_model_of(path)
    return [(out, method, figures) for method, figures in write_nn(out, model, card).items()]
