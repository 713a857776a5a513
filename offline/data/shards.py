"""Recordings as WebDataset shards: tar files of decoded sound, for data that is larger than a disk.

`write_shards` makes them of a corpus, once: the recordings to train on in random order, those that are held out apart,
and an index with the size and digest of each shard. `ShardedCorpus` reads them from a folder or URL, a few at a time.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from gramophone.offline.data.corpus import Corpus
from gramophone.offline.data.recording import DataError, Found, Heard, Recording
from gramophone.offline.extras import need
from gramophone.offline.urls import Place, Url, UrlError, fetch, opened, parse_place
from gramophone.presets.atomic import atomic_write
from gramophone.realtime.system.cache_folder import cache_folder

PREFIX = "shards:"
INDEX = "shards.json"
_TRAINING, _HELD_OUT = "training-%06d.tar", "held-out-%06d.tar"
_VERSION = 1


@dataclass(frozen=True)
class Shard:
    """A tar file of recordings: its name, bytes and digest, how many recordings, and their audible frames."""

    name: str
    bytes: int
    digest: str
    recordings: int
    audible: int


@dataclass(frozen=True)
class ShardIndex:
    """What a folder of shards holds; `speakers` are all of the corpus, in order."""

    version: int
    rate: int
    speakers: tuple[str, ...]
    sources: tuple[str, ...]
    licences: tuple[str, ...]
    fingerprint: str
    training: tuple[Shard, ...]
    held_out: tuple[Shard, ...]


def write_shards(corpus: Corpus, folder: Path, megabytes: int, seed: int = 0) -> ShardIndex:
    """Write a corpus as shards of at most about `megabytes`, and their index last.

    Raises:
        DataError: the folder holds shards already.
        MissingLibraryError: webdataset is not installed.
    """
    need("webdataset")
    if (folder / INDEX).exists():
        raise DataError(f"{folder / INDEX}: shards are there already; use another folder")
    folder.mkdir(parents=True, exist_ok=True)
    order = np.random.default_rng(seed).permutation(len(corpus.training))
    training = _written([corpus.training[place] for place in order], folder, _TRAINING, megabytes)
    index = ShardIndex(
        _VERSION,
        corpus.rate,
        corpus.speakers,
        corpus.sources,
        corpus.licences,
        corpus.fingerprint,
        training,
        _written(corpus.held_out, folder, _HELD_OUT, megabytes),
    )
    with atomic_write(folder / INDEX) as part:
        part.write_text(json.dumps(asdict(index), indent=1), "utf-8")
    return index


def _written(recordings: Sequence[Recording], folder: Path, pattern: str, megabytes: int) -> tuple[Shard, ...]:
    import webdataset

    names: list[str] = []
    counts: list[tuple[int, int]] = []
    if not recordings:
        return ()
    with webdataset.ShardWriter(str(folder / pattern), maxsize=megabytes << 20, maxcount=1 << 30, verbose=0) as writer:
        for number, recording in enumerate(recordings):
            note = {"found": {**asdict(recording.found), "path": ""}, "heard": asdict(recording.heard)}
            writer.write({"__key__": f"{number:08}", "npy": np.load(recording.sound), "json": note})
            if not names or names[-1] != Path(writer.fname).name:
                names.append(Path(writer.fname).name)
                counts.append((0, 0))
            counts[-1] = counts[-1][0] + 1, counts[-1][1] + recording.heard.audible
    return tuple(
        Shard(name, (folder / name).stat().st_size, _digest(folder / name), *count)
        for name, count in zip(names, counts, strict=True)
    )


@dataclass(frozen=True)
class ShardedCorpus(Corpus):
    """A corpus in shards at a place. `recordings` are the held-out ones, which are small enough to be here.

    Those to train on are read shard by shard, by `shard`; at most `most_kept` are on this disk at a time.
    """

    place: Place = Path()
    index: ShardIndex = field(default=None, repr=False)  # type: ignore[assignment]
    most_kept: int = 8
    _kept: OrderedDict[int, tuple[Path, tuple[Recording, ...]]] = field(default_factory=OrderedDict, repr=False)

    @property
    def speakers(self) -> tuple[str, ...]:
        """The speakers' names, of all shards."""
        return self.index.speakers

    @property
    def fingerprint(self) -> str:
        """That of the corpus that the shards were made of."""
        return self.index.fingerprint

    @property
    def training(self) -> tuple[Recording, ...]:
        """Nothing may ask for all recordings to train on.

        Raises:
            DataError: always.
        """
        raise DataError(f"{self.place}: in shards, which are never here all at once; this needs a folder of recordings")

    def report(self) -> Iterator[str]:
        """Yield the report for people, line by line."""
        for name, shards in (("to train on", self.index.training), ("held out", self.index.held_out)):
            minutes = sum(shard.audible for shard in shards) / self.rate / 60
            count = sum(shard.recordings for shard in shards)
            yield f"{count} recordings {name}, {minutes:.1f} min, in {len(shards)} shards at {self.rate} Hz"

    def as_dict(self) -> dict[str, Any]:
        """Return the report as data."""
        return {"rate": self.rate, "sources": self.sources, "shards": asdict(self.index)}

    def shard(self, number: int) -> tuple[Recording, ...]:
        """Return the recordings of a shard to train on, brought here if it is not.

        Raises:
            DataError: it is cut short or was changed; the message names it.
            UrlError: it cannot be read.
        """
        if number in self._kept:
            self._kept.move_to_end(number)
            return self._kept[number][1]
        while len(self._kept) >= self.most_kept:
            shutil.rmtree(self._kept.popitem(last=False)[1][0], ignore_errors=True)
        self._kept[number] = _brought(self.place, self.index.training[number])
        return self._kept[number][1]


def open_shards(place: str, rate: int) -> ShardedCorpus:
    """Return the corpus in a folder of shards, by path or URL, without its recordings to train on.

    Raises:
        DataError: there are no shards, or at another rate; or one that is held out is cut short.
        UrlError: they cannot be read.
        MissingLibraryError: webdataset is not installed.
    """
    need("webdataset")
    at = parse_place(place)
    index = _index(at)
    if index.rate != rate:
        raise DataError(f"{at}: shards at {index.rate} Hz; expected {rate} Hz (--rate {index.rate})")
    held_out = [recording for shard in index.held_out for recording in _brought(at, shard)[1]]
    return ShardedCorpus(rate, tuple(held_out), (), index.sources, index.licences, at, index)


def _index(at: Place) -> ShardIndex:
    path = at / INDEX
    try:
        with path.open("rb") if isinstance(path, Path) else opened(path) as file:
            values: dict[str, Any] = json.loads(file.read())
        shards = {part: tuple(Shard(**shard) for shard in values[part]) for part in ("training", "held_out")}
        lists = {key: tuple(values[key]) for key in ("speakers", "sources", "licences")}
        found = ShardIndex(**{**values, **lists, **shards})
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}; expected what `gramophone shards` writes") from None
    except (ValueError, KeyError, TypeError):
        raise DataError(f"{path}: no index of shards; expected what `gramophone shards` writes") from None
    if found.version != _VERSION or not found.training:
        raise DataError(f"{path}: version {found.version}, {len(found.training)} shards; write them anew")
    return found


def _brought(at: Place, shard: Shard) -> tuple[Path, tuple[Recording, ...]]:
    """Return a shard's folder in the cache and the recordings in it.

    Raises:
        DataError: the shard is cut short or was changed.
    """
    folder = cache_folder("shards", shard.digest)
    note = folder / "recordings.json"
    if not note.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        tar = at / shard.name
        here = tar if isinstance(tar, Path) else folder / shard.name
        if isinstance(tar, Url):
            fetch(tar, here)
        _check(tar, here, shard)
        _unpack(here, folder, note)
        if isinstance(tar, Url):
            here.unlink()
    known = json.loads(note.read_text("utf-8"))
    return folder, tuple(_recording(folder, entry) for entry in known)


def _check(tar: Place, here: Path, shard: Shard) -> None:
    try:
        size = here.stat().st_size
    except OSError as error:
        raise DataError(f"{tar}: cannot be read: {error.strerror}") from None
    if size != shard.bytes:
        cut = "cut short" if size < shard.bytes else "too long"
        raise DataError(f"{tar}: {cut}: {size} bytes of {shard.bytes}; copy it again from where it was made")
    if _digest(here) != shard.digest:
        raise DataError(f"{tar}: not as it was written (another digest); copy it again from where it was made")


def _unpack(tar: Path, folder: Path, note: Path) -> None:
    """Write the sounds of a tar file to a folder, and what is known of each to `note`, last."""
    import webdataset

    entries = []
    for sample in webdataset.WebDataset(str(tar), shardshuffle=False, empty_check=False):
        name = f"{sample['__key__']}.npy"
        (folder / name).write_bytes(sample["npy"])
        entries.append({"sound": name, **json.loads(sample["json"])})
    with atomic_write(note) as part:
        part.write_text(json.dumps(entries), "utf-8")


def _recording(folder: Path, entry: dict[str, Any]) -> Recording:
    found = {**entry["found"], "path": Path(entry["found"]["path"])}
    return Recording(Found(**found), Heard.from_json(entry["heard"]), folder / entry["sound"])


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()


def gathered_shards(places: Sequence[str], rate: int, speakers: Sequence[str]) -> ShardedCorpus:
    """Return the corpus of `shards:PLACE`.

    Raises:
        DataError: other data or a choice of speakers goes with it; or as `open_shards`.
    """
    if len(places) > 1 or speakers:
        raise DataError(f"{places[0]}: shards go alone, with all their speakers; choose when you write them")
    try:
        return open_shards(places[0].removeprefix(PREFIX), rate)
    except UrlError as error:
        raise DataError(str(error)) from None
