"""`gramophone shards`: recordings as WebDataset shards, to train from data that is larger than a disk."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gramophone.offline.cli.common import JsonOption
from gramophone.offline.console import print_json, say, wrote


def shards(
    data: Annotated[list[str], typer.Argument(metavar="DATA...", help="Recordings, as `gramophone train` takes them.")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder for the shards.")],
    rate: Annotated[int, typer.Option(min=1000, help="Sample rate of the models to train, in Hz.")] = 8000,
    speakers: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Only this speaker; may be repeated; all if not given.")
    ] = None,
    layout: Annotated[str, typer.Option(help="How the folders are laid out.")] = "auto",
    megabytes: Annotated[int, typer.Option(min=1, help="Size of a shard, at most about that.")] = 256,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the order of the recordings.")] = 0,
    json: JsonOption = False,
) -> None:
    """Write recordings, decoded and checked, as shards; train on them with `shards:DIR`, or `shards:URL` of a copy.

    What is held out goes into shards of its own. A run takes the rate, the speakers and the split from the index.
    """
    from gramophone.offline.data.corpus import gather
    from gramophone.offline.data.shards import INDEX, write_shards

    corpus = gather(data, rate, speakers=speakers or (), layout=layout)
    for line in corpus.report():
        say(line)
    index = write_shards(corpus, out, megabytes, seed)
    written = (*index.training, *index.held_out)
    if json:
        print_json({"index": str(out / INDEX), "shards": [shard.name for shard in written]})
        return
    wrote(out / INDEX, *(out / shard.name for shard in written))
    total = sum(shard.bytes for shard in written) / 1e6
    say(f"{len(written)} shards, {total:.0f} MB; train with: gramophone train wavenet shards:{out} --rate {rate}")
