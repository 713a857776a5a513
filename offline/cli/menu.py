"""`gramophone` without arguments, on a terminal: asks what you would like to do.

Each choice asks for what it needs, with an answer ready, says which command does the same, and runs that command.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import NoReturn

_OUT = Path("out")
Run = Callable[[list[str]], None]
"""Runs a command line, without `gramophone` in front."""


class _LeaveError(Exception):
    """The user wants to leave."""


def offer(run: Run) -> None:
    """Ask what to do and do it, once; an empty line takes the answer in brackets, `q` or the end of input leaves."""
    print("Gramophone plays one sound in the style of another, live.\n")
    for number, (name, (what, _)) in enumerate(_CHOICES.items(), 1):
        print(f"  {number}  {name:8}{what}")
    print("  q  quit\n")
    try:
        name = _ask("What would you like?", "play", _chosen)
        arguments = _CHOICES[name][1]()
        print(f"\nThe same as: gramophone {shlex.join(arguments)}\n")
        run(arguments)
        if name == "try":
            _play_aloud(Path(arguments[arguments.index("--out") + 1]) / f"{Path(arguments[1]).stem}.wav")
    except (_LeaveError, EOFError):
        print()


def _play() -> list[str]:
    preset = _ask_preset()
    print("The control page will be at http://localhost:9001/ui; wear headphones; q ends it.")
    return ["play", "--preset", preset]


def _try() -> list[str]:
    from gramophone.presets import CLIPS

    clips = {path.stem: path for path in sorted(CLIPS.glob("*.flac"))}
    print(f"Clips: {', '.join(clips)}; or a sound file of yours.")
    clip = _ask("Which clip?", "voice", lambda text: str(clips[text]) if text in clips else _file(text))
    return ["render", clip, "--preset", _ask_preset(), "--out", str(_OUT / "try"), "--overwrite"]


def _render() -> list[str]:
    source = _ask("Which file or folder?", "", _existing)
    preset = _ask_preset()
    out = _ask("Into which folder?", str(_OUT / preset), _any)
    return ["render", source, "--preset", preset, "--out", out]


def _train() -> list[str]:
    print("A voice is learned from a folder with a folder of recordings for each speaker, ten minutes or more of each.")
    folder = _ask("Which folder?", "", _speakers)
    out = _ask("Into which folder?", f"runs/{Path(folder).name}", _any)
    return ["train", "voice", folder, "--out", out]


_CHOICES: dict[str, tuple[str, Callable[[], list[str]]]] = {
    "play": ("yourself, live, through a preset", _play),
    "try": ("hear what a preset makes of a clip", _try),
    "render": ("files of yours through a preset", _render),
    "train": ("a voice of your own", _train),
    "doctor": ("check this machine", lambda: ["doctor"]),
}


def _ask(question: str, answer: str, check: Callable[[str], str]) -> str:
    """Return what `check` makes of the user's answer, asking again while it raises ValueError with what is wrong."""
    while True:
        text = input(f"{question} [{answer}] " if answer else f"{question} ").strip() or answer
        if text.lower() in ("q", "quit", "exit"):
            raise _LeaveError
        try:
            return check(text)
        except ValueError as error:
            print(f"  {error}")


def _ask_preset() -> str:
    """Return the name of a preset that is ready to play: compiled for this processor, with a bar the first time."""
    from gramophone.presets import DEFAULT

    name = _ask("Which preset? (? lists them)", DEFAULT, _preset)
    _warm(name)
    return name


def _warm(name: str) -> None:
    """Compile what a preset needs, once for each version of Gramophone; the command names what fails."""
    from gramophone.realtime.system.cache_folder import cache_folder

    mark = cache_folder("warmed") / f"{name}-{version('gramophone')}"
    if mark.exists():
        return
    from gramophone.offline.commands.warm import warm
    from gramophone.offline.progress import StepProgress

    print("First run: compiling for this processor, once ...", file=sys.stderr)
    with StepProgress("compiling") as progress:
        done = warm(progress, (name,))
    if not done.failed:
        mark.parent.mkdir(parents=True, exist_ok=True)
        mark.touch()


def _chosen(text: str) -> str:
    names = list(_CHOICES)
    if text.isdigit() and 1 <= int(text) <= len(names):
        return names[int(text) - 1]
    if text in names:
        return text
    raise ValueError(f"{text!r}: expected a number from 1 to {len(names)}, a word of the list, or q")


def _preset(text: str) -> str:
    from gramophone.presets import load, names

    if text in names():
        return text
    if text == "?":
        for name in names():
            print(f"  {name:18}{load(name).title}")
        _refuse("which of them?")
    return _refuse(f"no preset {text!r}; ? lists them")


def _existing(text: str) -> str:
    path = Path(text).expanduser()
    return str(path) if text and path.exists() else _refuse(f"{text!r}: there is no such file or folder")


def _file(text: str) -> str:
    path = _existing(text)
    return path if Path(path).is_file() else _refuse(f"{text!r}: expected a sound file; for a folder choose render")


def _speakers(text: str) -> str:
    folder = Path(_existing(text))
    if not any(child.is_dir() for child in folder.iterdir()) if folder.is_dir() else True:
        _refuse(f"{text!r}: expected a folder with a folder for each speaker")
    return str(folder)


def _any(text: str) -> str:
    return text or _refuse("a name is needed")


def _refuse(why: str) -> NoReturn:
    raise ValueError(why)


def _play_aloud(path: Path) -> None:
    """Play a result on the loudspeaker, where there is one."""
    from gramophone.offline.commands.demo import play_aloud

    print("Played aloud." if play_aloud(path) else f"There is no loudspeaker here; listen to {path}.")
