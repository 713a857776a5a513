/* What DPF has to know of the plug-in before it compiles its own part. */
#pragma once

#define DISTRHO_PLUGIN_BRAND "Gramophone"
#define DISTRHO_PLUGIN_NAME "Gramophone"
#define DISTRHO_PLUGIN_URI "urn:gramophone:bridge"
#define DISTRHO_PLUGIN_CLAP_ID "gramophone.bridge"
#define DISTRHO_PLUGIN_CLAP_FEATURES "audio-effect", "stereo"
#define DISTRHO_PLUGIN_LV2_CATEGORY "lv2:ModulatorPlugin"
#define DISTRHO_PLUGIN_VST3_CATEGORIES "Fx|Modulation"
#define DISTRHO_PLUGIN_HAS_UI 0
#define DISTRHO_PLUGIN_IS_RT_SAFE 1
#define DISTRHO_PLUGIN_NUM_INPUTS 2
#define DISTRHO_PLUGIN_NUM_OUTPUTS 2
#define DISTRHO_PLUGIN_WANT_LATENCY 1
#define DISTRHO_PLUGIN_WANT_STATE 1
#define DISTRHO_PLUGIN_WANT_FULL_STATE 1
#define DISTRHO_PLUGIN_WANT_TIMEPOS 1
