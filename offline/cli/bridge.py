"""`gramophone bridge`: the plug-in for DAWs."""

from __future__ import annotations

from dataclasses import asdict

from gramophone.offline.cli.command_group import CommandGroup
from gramophone.offline.cli.common import JsonOption
from gramophone.offline.console import print_json, say, wrote

bridge = CommandGroup(
    help="The plug-in that brings Gramophone into a DAW: VST3, LV2 and CLAP.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@bridge.command()
def install() -> None:
    """Build the plug-in for this machine and install it for this user (needs a C++ compiler and DPF)."""
    from gramophone.offline.commands.bridge import command_file
    from gramophone.offline.commands.bridge import install as build_and_install

    for place in build_and_install():
        wrote(place.path)
    wrote(command_file())


@bridge.command()
def status(json: JsonOption = False) -> None:
    """Show which formats of the plug-in are installed for this user."""
    from gramophone.offline.commands.bridge import status as installed

    found = installed()
    if json:
        print_json([{**asdict(place), "path": str(place.path)} for place in found])
        return
    for place in found:
        say(f"{place.format:5} {'installed' if place.there else 'missing  '}  {place.path}")


@bridge.command()
def remove() -> None:
    """Remove the plug-in."""
    from gramophone.offline.commands.bridge import remove as removed

    gone = removed()
    for path in gone:
        say(f"removed {path}")
    if not gone:
        say("nothing was installed")
