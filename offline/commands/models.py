"""`gramophone models`: the trained models by name, and one model's page. Reads headers of files, so without torch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from gramophone.models.checkpoint import Card, CheckpointError, card_of, kind_of
from gramophone.offline.commands.library import licence_of
from gramophone.offline.console import add_row, new_table, print_json, print_table, say, wrote
from gramophone.presets import CLIPS
from gramophone.presets.hashed_files import sha256_of
from gramophone.presets.model_library import own_models
from gramophone.presets.models import model_file, model_names

_CLIP = CLIPS / "voice.flac"
_CLIP_S = 2.0


def describe_models(*, json: bool) -> None:
    """Print name, kind, rate, speakers, training data and licence of the models that are here.

    Those of the library follow those that come with Gramophone; one that cannot be read is listed with the reason.
    """
    files = {name: model_file(name) for name in model_names()}
    files |= {name: own.file for name, own in own_models().items() if name not in files}
    cards = {name: _header_or_reason(path) for name, path in files.items()}
    if json:
        print_json([{"name": name, "kind": kind, **asdict(card)} for name, (kind, card) in cards.items()])
        return
    if not cards:
        print("no model comes with this version; train one with `gramophone train`")
        return
    table = new_table("name", "kind", "rate", "speakers", "trained on", "licence")
    for name, (kind, card) in cards.items():
        add_row(table, name, kind, f"{card.rate} Hz", "; ".join(card.speakers), "; ".join(card.data), card.licence)
    print_table(table)


def describe_model(name: str, out: Path | None, *, overwrite: bool, json: bool) -> None:
    """Print a model's page; with `out`, write sounds and a picture of what its named latents do into that folder.

    Raises:
        PresetError: there is no such model.
        CheckpointError: the file cannot be read.
        ResultError: a file is there already, and not to be overwritten.
    """
    path = model_file(name)
    kind, card = _header(path)
    has_sounds = kind == "vlae" and bool(card.latents)
    written = _traversal(path, out, overwrite=overwrite) if out and has_sounds else []
    if out and not has_sounds:
        say(f"{name}: no latents with names, as those of vlae have them; nothing is written to {out}")
    own = own_models().get(name)
    where = {"file": str(path), "sha256": sha256_of(path), "source": own.source if own else ""}
    if json:
        print_json({"name": name, "kind": kind, **asdict(card), **where, "written": [str(file) for file in written]})
    else:
        _show(name, kind, card, where)
        wrote(*written)


def trust_model(name: str) -> None:
    """Let a TorchScript file run from now on, after a trial.

    Raises:
        PresetError: there is no such file.
        StageError: it is no model that the latent stage can play.
    """
    from gramophone.realtime.stages.latent.torchscript import trust

    trust(model_file(name))


def _header(path: Path) -> tuple[str, Card]:
    """Return kind and card of a model file, without running anything that it holds."""
    if path.suffix == ".nam":
        from gramophone.realtime.stages.nam.capture import read_capture

        return "nam", Card(read_capture(path).rate, licence=licence_of(path))
    if path.suffix == ".ts":
        from gramophone.realtime.stages.latent.torchscript import KIND, trusted

        return KIND, trusted(path).card()
    return kind_of(path), card_of(path)


def _header_or_reason(path: Path) -> tuple[str, Card]:
    """Return kind and card of a model file; of one that cannot be read, or is not trusted, the reason as its kind."""
    from gramophone.realtime.stage import StageError

    try:
        return _header(path)
    except (CheckpointError, StageError) as error:
        return str(error).partition(": ")[2], Card(0)


def _show(name: str, kind: str, card: Card, where: Mapping[str, str]) -> None:
    facts = new_table("", "", title=name)
    facts.show_header = False
    for key, value in {**_facts(kind, card), **where}.items():
        if value:
            add_row(facts, key, value)
    print_table(facts)
    if _latent_names(card):
        latents = new_table("latent", "R²", "spread")
        for row in _latents(card):
            add_row(latents, *row)
        print_table(latents)


def _facts(kind: str, card: Card) -> Mapping[str, str]:
    return {
        "kind": kind,
        "rate": f"{card.rate} Hz, a frame every {card.hop} samples",
        "delay": f"{card.delay} samples ({1000 * card.delay / card.rate:.0f} ms)" if card.rate else "",
        "speakers": ", ".join(card.speakers),
        "trained on": "; ".join(card.data),
        "licence": card.licence,
        "steps": str(card.steps) if card.steps else "",
        "settings of its own": ", ".join(card.notes.get("attributes", {})),
        "scores": "  ".join(f"{key} {value:.3f}" for key, value in card.scores.items()),
    }


def _latents(card: Card) -> Iterator[tuple[str, str, str]]:
    """Yield each latent's name, the share of its descriptor's variance that it explains, and its standard deviation.

    Both figures are of held-out recordings; the share, R², is what earned the latent its name.
    """
    names = _latent_names(card)
    unknown = [float("nan")] * len(names)
    r2, spread = (card.notes.get(key, unknown) for key in ("r2", "spread"))
    for name, share, deviation in zip(names, r2, spread, strict=True):
        yield name, f"{share:.2f}", f"{deviation:.2f}"


def _latent_names(card: Card) -> Sequence[str]:
    return card.latents or card.notes.get("named", ())


def _traversal(path: Path, out: Path, *, overwrite: bool) -> list[Path]:
    """Write the traversal of every named latent of a VLAE, from the first seconds of a bundled voice; return files."""
    import numpy as np

    from gramophone.models.checkpoint import load
    from gramophone.models.nets.vlae import VLAE
    from gramophone.offline.commands.traversal import write_traversal
    from gramophone.offline.data.corpora import load as load_sound
    from gramophone.offline.data.decoded import listen
    from gramophone.offline.data.mono_audio import levelled

    model, card = load(path, "vlae")
    assert isinstance(model, VLAE)
    clip = levelled(load_sound(_CLIP, card.rate))
    start = listen(np.round(clip * 32_767).astype(np.int16), card.rate, card.rate).spans[0][0]
    out.mkdir(parents=True, exist_ok=True)
    return write_traversal(model, card, clip[start : start + round(_CLIP_S * card.rate)], 0, out, overwrite=overwrite)
