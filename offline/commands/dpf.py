"""The build of the plug-in with DPF (DISTRHO Plugin Framework, 1.6), and what that does not do: added to a copy before.

VST3 hosts state whether they bounce, set values before they activate, and get a changed latency; CLAP hosts state
whether they bounce, take a state in pieces, and are refused other ids; both show a parameter's value as text. LV2 hosts
need no features, may leave the event ports open, and are asked to change the port that is meant.

Code is added before or behind a passage of DPF, which is found by its text and must occur once: DPF has no hooks, line
numbers change with its versions, and a passage that is no longer there stops the build in place of a wrong plug-in.

This file needs nothing but Python: `setup.py` reads it to put built plug-ins into a wheel.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

NAMES = {"Gramophone": 2, "GramophoneMono": 1}
"""The channels of each plug-in by its file name."""
DPF = Path("/usr/share/dpf")
SOURCES = Path(__file__).resolve().parents[2] / "realtime" / "bridge" / "native"
_GENERATOR = "lv2_ttl_generator"


class BridgeError(RuntimeError):
    """The plug-in cannot be built or installed; the message says what is missing and where to get it."""


class _Addition(NamedTuple):
    """Code to stand before or behind a passage that occurs once."""

    passage: str
    before: str = ""
    behind: str = ""


_NOT_STORED = _Addition(  # a project that was stored in a bounce is not one when it is opened
    "if (fPlugin.getParameterSymbol(j) != key)\n",
    before="if (j == GRAMOPHONE_OFFLINE)\n                                continue;\n                            ",
)
_VST3 = (
    _NOT_STORED,
    _Addition(  # behind a line of DPF's own that says what is still to do there
        "        // TODO process_mode can be V3_REALTIME, V3_PREFETCH, V3_OFFLINE\n",
        behind="        fPlugin.setParameterValue(GRAMOPHONE_OFFLINE, setup->process_mode == V3_OFFLINE);\n",
    ),
    _Addition(
        "    v3_result process(v3_process_data* const data)\n    {\n",
        behind="        fPlugin.setParameterValue(GRAMOPHONE_OFFLINE, data->process_mode == V3_OFFLINE);\n",
    ),
    _Addition(
        "        for (uint32_t i=0; i < enumValues.count; ++i)\n        {\n"
        "            if (d_isEqual(enumValues.values[i].value, value))\n",
        before="        const std::string text = gramophoneText(fPlugin.getInstancePointer(), index, value);\n"
        "        if (! text.empty())\n        {\n            strncpy_utf16(output, text.c_str(), 128);\n"
        "            return V3_OK;\n        }\n",
    ),
    _Addition(
        "        DISTRHO_SAFE_ASSERT_UINT2_RETURN(rindex >= kVst3InternalParameterCount, rindex, "
        "kVst3InternalParameterCount, V3_INVALID_ARG);\n\n       #if DPF_VST3_USES_SEPARATE_CONTROLLER\n        const",
        before="       #if ! DPF_VST3_USES_SEPARATE_CONTROLLER\n"
        "        const uint32_t number = rindex - kVst3InternalParameterCount;\n"
        "        // what is set while it plays comes with the blocks\n"
        "        if (number < fParameterCount && ! fPlugin.isActive()\n"
        "            && ! fPlugin.isParameterOutputOrTrigger(number))\n"
        "            _setNormalizedPluginParameterValue(number, normalized);\n"
        "       #endif\n",
    ),
    _Addition(  # JUCE asks between the setup and the activation, in which it changes
        "    uint32_t getLatencySamples() const noexcept\n    {\n       #if DISTRHO_PLUGIN_WANT_LATENCY\n",
        behind="        const_cast<PluginVst3*>(this)->fLastKnownLatency = fPlugin.getLatency();\n",
    ),
    _Addition(
        "        if (fLastKnownLatency != latency)\n        {\n            fLastKnownLatency = latency;\n",
        behind="            fCachedParameterValues[kVst3InternalParameterLatency] = latency;\n"
        "            // a host should pass the parameter on to the controller: Ardour does not\n"
        "            if (fComponentHandler != nullptr)\n"
        "                v3_cpp_obj(fComponentHandler)->restart_component(fComponentHandler,\n"
        "                                                                 V3_RESTART_LATENCY_CHANGED);\n",
    ),
    _Addition(  # behind a state's last part, which may have changed the latency
        "V3_RESTART_PARAM_VALUES_CHANGED);\n\n       #if DISTRHO_PLUGIN_HAS_UI\n        if (connectedToUI)\n",
        before="V3_RESTART_LATENCY_CHANGED | ",
    ),
)
_CLAP = (
    _NOT_STORED,
    _Addition(
        "        for (uint32_t i=0; i < enumValues.count; ++i)\n        {\n"
        "            if (d_isEqual(static_cast<double>(enumValues.values[i].value), value))\n",
        before="        const std::string text = gramophoneText(fPlugin.getInstancePointer(), param_id, value);\n"
        "        if (! text.empty())\n        {\n            DISTRHO_NAMESPACE::strncpy(display, text.c_str(), size);\n"
        "            return true;\n        }\n",
    ),
    _Addition(
        "    bool process(const clap_process_t* const process)\n    {\n",
        before="    void setOffline(const bool offline)\n    {\n"
        "        fPlugin.setParameterValue(GRAMOPHONE_OFFLINE, offline);\n    }\n\n",
    ),
    _Addition(
        "static CLAP_ABI const void* clap_plugin_get_extension(const clap_plugin_t*, const char* const id)\n{\n",
        before="// CLAP's extension `render`, of which DPF has no header\n"
        "struct clap_plugin_render {\n"
        "    bool (CLAP_ABI *has_hard_realtime_requirement)(const clap_plugin_t*);\n"
        "    bool (CLAP_ABI *set)(const clap_plugin_t*, int32_t);\n};\n\n"
        "static CLAP_ABI bool clap_plugin_render_is_hard(const clap_plugin_t*)\n{\n    return false;\n}\n\n"
        "static CLAP_ABI bool clap_plugin_render_set(const clap_plugin_t* const plugin, const int32_t mode)\n{\n"
        "    static_cast<PluginCLAP*>(plugin->plugin_data)->setOffline(mode == 1);\n"
        "    return mode == 0 || mode == 1;\n}\n\n"
        "static const clap_plugin_render clap_plugin_offline = {\n"
        "    clap_plugin_render_is_hard,\n    clap_plugin_render_set\n};\n\n",
        behind='    if (std::strcmp(id, "clap.render") == 0)\n        return &clap_plugin_offline;\n',
    ),
    _Addition(
        "            wrtn = stream->write(stream, buffer, size - wrtntotal);\n"
        "            DISTRHO_SAFE_ASSERT_INT_RETURN(wrtn > 0, wrtn, false);\n",
        behind="            buffer += wrtn;\n",
    ),
    _Addition(
        "clap_create_plugin(const clap_plugin_factory_t* const factory,\n"
        "                                               const clap_host_t* const host,\n"
        "                                               const char*",
        behind=" const id",
    ),
    _Addition(
        "    clap_plugin_t* const pluginptr = static_cast<clap_plugin_t*>(std::malloc(sizeof(clap_plugin_t)));\n",
        before="    if (std::strcmp(id, DISTRHO_PLUGIN_CLAP_ID) != 0)\n        return nullptr;\n\n",
    ),
)
_LV2 = (
    _Addition(
        "    if (options == nullptr)\n    {\n",
        before="    static const LV2_Options_Option noOptions[] = {{ LV2_OPTIONS_INSTANCE, 0, 0, 0, 0, nullptr }};\n"
        "    if (options == nullptr)\n        options = noOptions;\n\n",
    ),
    _Addition(
        "    if (uridMap == nullptr)\n    {\n",
        before="    // where the host has no numbers for URIs, nobody else sees ours\n"
        "    static const LV2_URID_Map ownMap = { nullptr,\n"
        "        [](LV2_URID_Map_Handle, const char* const uri) -> LV2_URID {\n"
        "            return 1 + std::hash<std::string>()(uri) % 0x7fffffff; } };\n"
        "    if (uridMap == nullptr)\n        uridMap = &ownMap;\n\n",
    ),
    _Addition(
        "    if (worker == nullptr)\n    {\n",
        before="    // work is only scheduled for states that a host changes by events: of ours there is none\n"
        "    static const LV2_Worker_Schedule noWorker = { nullptr,\n"
        "        [](LV2_Worker_Schedule_Handle, uint32_t, const void*) { return LV2_WORKER_ERR_UNKNOWN; } };\n"
        "    if (worker == nullptr)\n        worker = &noWorker;\n\n",
    ),
    _Addition(
        "    void lv2_run(const uint32_t sampleCount)\n    {\n",
        behind="        if (fPortEventsIn == nullptr)\n            fPortEventsIn = &fOpenEventsIn;\n"
        "        if (fEventsOutData.port == nullptr)\n            fEventsOutData.port = &fOpenEventsOut;\n\n",
    ),
    _Addition(
        "    const bool fUsingNominal; // if false use maxBlockLength\n",
        behind="    LV2_Atom_Sequence fOpenEventsIn {}, fOpenEventsOut {}; // where a host connects none\n",
    ),
    _Addition(
        "        return fCtrlInPortChangeReq->request_change(fCtrlInPortChangeReq->handle, index, value);\n",
        before="        // hosts count ports, not parameters; the port of a bypass has the opposite meaning\n"
        "        const uint32_t port = index + DISTRHO_PLUGIN_NUM_INPUTS + DISTRHO_PLUGIN_NUM_OUTPUTS\n"
        "            + DISTRHO_LV2_USE_EVENTS_IN + DISTRHO_LV2_USE_EVENTS_OUT + DISTRHO_PLUGIN_WANT_LATENCY;\n"
        "        const bool opposite = fPlugin.getParameterDesignation(index) == kParameterDesignationBypass;\n"
        "        if (port != index)\n"
        "            return fCtrlInPortChangeReq->request_change(fCtrlInPortChangeReq->handle, port,\n"
        "                                                        opposite ? 1.0f - value : value);\n",
    ),
)
_DESCRIPTION = {
    r"(?s)lv2:extensionData opts:interface ,\n(.*?state#interface>).*?;": r"lv2:extensionData opts:interface ,\n\1 ;",
    r"lv2:optionalFeature ": "lv2:optionalFeature opts:options , <http://lv2plug.in/ns/ext/urid#map> ,\n        ",
    r"(?s)    lv2:requiredFeature .*?;\n\n": "",
    r'lv2:symbol "lv2_events_in" ;': r"\g<0> lv2:portProperty lv2:connectionOptional ;",
    r'lv2:symbol "lv2_events_out" ;': r"\g<0> lv2:portProperty lv2:connectionOptional ;",
    r'lv2:symbol "offline" ;': r"\g<0> lv2:designation lv2:freeWheeling ;",
    r" ,\s*<http://kxstudio.sf.net/ns/lv2ext/props#NonAutomatable>": "",  # a word that is in no specification
    r'(?s)    mod:brand .*?mod:label "[^"]*" ;\n\n': "",
}
"""What is changed in an LV2 bundle's description, by regular expressions that match once: no feature is required, the
event ports may stay open, hosts set `offline` when they run without regard to time, other vendors' words are gone."""


def missing(dpf: Path) -> str:
    """Return what a build lacks here, and where to get it; empty if nothing."""
    for program in ("make", "c++"):
        if not shutil.which(program):
            return f"{program} is missing, the plug-in is compiled here: apt install build-essential"
    if not (dpf / "Makefile.plugins.mk").exists():
        return f"{dpf}: no DISTRHO Plugin Framework; on Debian: apt install dpf-source, or set DPF_PATH"
    return ""


def build(folder: Path, dpf: Path) -> Path:
    """Build all formats in an empty `folder`; return the folder below it that holds them, which `describe` completes.

    Raises:
        BridgeError: a compiler or DPF is missing, or the build fails.
    """
    if lacks := missing(dpf):
        raise BridgeError(lacks)
    copy, out = folder / "dpf", folder / "out"
    shutil.copytree(SOURCES, folder / "native")
    shutil.copytree(dpf, copy)
    extend(copy)
    _run(["make", "-C", str(copy / "utils" / "lv2-ttl-generator")])
    for name, channels in NAMES.items():
        settings = {"DPF_PATH": copy, "DPF_TARGET_DIR": out, "DPF_BUILD_DIR": folder / f"objects-{channels}"}
        words = [f"{key}={value}" for key, value in settings.items()]
        _run(["make", "-C", str(folder / "native"), *words, f"NAME={name}", f"CHANNELS={channels}", "--jobs=2"])
    shutil.copy2(copy / "utils" / _GENERATOR, out)
    return out


def describe(built: Path) -> None:
    """Write the descriptions of the LV2 bundles in a folder, with the presets that this user has.

    Raises:
        BridgeError: they are not as they were expected.
    """
    (built / _GENERATOR).chmod(0o755)
    for name in NAMES:
        bundle = built / f"{name}.lv2"
        _run([str(built / _GENERATOR), f"./{name}_dsp.so"], bundle)
        _adapt(bundle / f"{name}_dsp.ttl")


def _adapt(description: Path) -> None:
    """Change a description as the additions to DPF allow."""
    text = description.read_text("utf-8")
    for passage, instead in _DESCRIPTION.items():
        text, found = re.subn(passage, instead, text)
        if found != 1:
            raise BridgeError(f"{description.name}: expected once, found {found} times: {passage}")
    description.write_text(text, "utf-8")


def _run(command: list[str], folder: Path | None = None) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        last = "\n".join((done.stdout + done.stderr).strip().splitlines()[-12:])
        raise BridgeError(f"the build failed at `{Path(command[0]).name}`:\n{last}")


def extend(dpf: Path) -> None:
    """Add to a copy of DPF what the plug-in needs.

    Raises:
        BridgeError: it is another version, in which a passage is missing.
    """
    for name, additions in (("VST3", _VST3), ("CLAP", _CLAP), ("LV2", _LV2)):
        path = dpf / "distrho" / "src" / f"DistrhoPlugin{name}.cpp"
        text = path.read_text("utf-8")
        for passage, before, behind in additions:
            if text.count(passage) != 1:
                line = passage.strip().splitlines()[0]
                raise BridgeError(f"{path.name}: expected once: {line}; DPF 1.6 (Debian bookworm) is known to do")
            text = text.replace(passage, before + passage + behind)
        path.chmod(0o644)
        path.write_text(text, "utf-8")
