/* What DPF has to know of the plug-in before it compiles its own part. */
#pragma once

#if GRAMOPHONE_CHANNELS == 1
#define GRAMOPHONE_SUFFIX "-mono"
#define DISTRHO_PLUGIN_NAME "Gramophone Mono"
#define DISTRHO_PLUGIN_CLAP_FEATURES "audio-effect", "mono"
#else
#define GRAMOPHONE_SUFFIX ""
#define DISTRHO_PLUGIN_NAME "Gramophone"
#define DISTRHO_PLUGIN_CLAP_FEATURES "audio-effect", "stereo"
#endif
#define DISTRHO_PLUGIN_BRAND "Gramophone"
#define DISTRHO_PLUGIN_URI "urn:gramophone:bridge" GRAMOPHONE_SUFFIX
#define DISTRHO_PLUGIN_CLAP_ID "gramophone.bridge" GRAMOPHONE_SUFFIX
#define DISTRHO_PLUGIN_LV2_CATEGORY "lv2:ModulatorPlugin"
#define DISTRHO_PLUGIN_VST3_CATEGORIES "Fx|Modulation"
#define DISTRHO_PLUGIN_HAS_UI 0
#define DISTRHO_PLUGIN_IS_RT_SAFE 1
#define DISTRHO_PLUGIN_NUM_INPUTS GRAMOPHONE_CHANNELS
#define DISTRHO_PLUGIN_NUM_OUTPUTS GRAMOPHONE_CHANNELS
#define DISTRHO_PLUGIN_WANT_LATENCY 1
#define DISTRHO_PLUGIN_WANT_PARAMETER_VALUE_CHANGE_REQUEST 1
#define DISTRHO_PLUGIN_WANT_STATE 1
#define DISTRHO_PLUGIN_WANT_FULL_STATE 1
#define DISTRHO_PLUGIN_WANT_TIMEPOS 1

/* For what `gramophone bridge install` adds to DPF (offline/commands/dpf.py): the parameter that says whether the host bounces, and the
   text of a parameter's value (empty: as DPF writes numbers). `plugin` is what DPF calls the instance pointer. */
#define GRAMOPHONE_OFFLINE 16
#include <string>
std::string gramophoneText(void* plugin, unsigned index, double value);
