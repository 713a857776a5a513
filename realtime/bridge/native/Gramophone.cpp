/* The plug-in as hosts see it through DPF. */
#include "DistrhoPlugin.hpp"

#include "bridge.hpp"
#include "hooks.hpp"

#include <fstream>
#include <map>

START_NAMESPACE_DISTRHO

using namespace gramophone;

namespace {

constexpr uint32_t kChannels = DISTRHO_PLUGIN_NUM_INPUTS;
constexpr uint32_t kMostPresets = 128;

/* The presets' names in the order of their numbers; 0 is the default, or the project's own. */
std::vector<std::string> presetNames()
{
    std::vector<std::string> names {"(default)"};
    std::ifstream file(configurationFile("bridge.presets"));
    for (std::string name; names.size() < kMostPresets && std::getline(file, name);)
        names.push_back(name);
    return names;
}

}  // namespace

class GramophonePlugin : public Plugin {
public:
    GramophonePlugin() : Plugin(kPage + 1, 0, 1), fBridge(kChannels) { bufferSizeChanged(getBufferSize()); }

    void setOffline(bool offline) { fOffline = offline; }

    /* A parameter's value as text, where it stands for something that DPF does not know; else empty. */
    std::string text(uint32_t index, double value) const
    {
        const std::string label = index == kPage || index >= kFirstMacro ? fBridge.link.text(kLabel + index) : "";
        if (label.empty() || index == kPage)
            return label;
        char number[16];
        std::snprintf(number, sizeof(number), "%.2f ", value);  // first, so that hosts read it back as a number
        return number + label;
    }

protected:
    const char* getLabel() const override { return "Gramophone"; }
    const char* getMaker() const override { return "Gramophone"; }
    const char* getLicense() const override { return "MIT"; }
    const char* getDescription() const override { return "Plays one sound in the style of another."; }
    uint32_t getVersion() const override { return d_version(0, 2, 0); }
    int64_t getUniqueId() const override { return kChannels == 1 ? d_cconst('G', 'r', 'm', '1') : d_cconst('G', 'r', 'a', 'm'); }

    void initAudioPort(bool input, uint32_t index, AudioPort& port) override
    {
        port.groupId = kChannels == 1 ? kPortGroupMono : kPortGroupStereo;
        Plugin::initAudioPort(input, index, port);
    }

    void initParameter(uint32_t index, Parameter& parameter) override
    {
        parameter.hints = kParameterIsAutomatable;
        parameter.ranges = ParameterRanges(index == kMix ? 1.0f : 0.0f, 0.0f, 1.0f);
        const bool macro = index < kFirstFree;
        const String number(static_cast<int>(index - (macro ? kFirstMacro : kFirstFree) + 1));
        switch (index) {
        case kBypass:
            return parameter.initDesignation(kParameterDesignationBypass);
        case kMix:
            return name(parameter, "Mix", "mix");
        case kPreset:
            return initPreset(parameter);
        case kOffline:
            parameter.hints = kParameterIsBoolean | kParameterIsInteger;
            return name(parameter, "Offline", "offline");
        case kPage:
            parameter.hints = kParameterIsOutput | kParameterIsInteger;
            parameter.ranges.max = 65535.0f;
            return name(parameter, "Page", "page");
        default:
            return name(parameter, String(macro ? "Macro " : "Free ") + number, String(macro ? "macro_" : "free_") + number);
        }
    }

    void initState(uint32_t, State& state) override
    {
        state.key = "project";
        state.defaultValue = "";
    }

    String getState(const char*) const override { return String(fBridge.link.text(kState).c_str()); }

    void setState(const char*, const char* value) override
    {
        setLatency(fBridge.setState(value));  // before the first block, from which on Ardour does not follow it
    }


    float getParameterValue(uint32_t index) const override { return index == kOffline ? float(fOffline) : fBridge.link.parameter(index); }

    void setParameterValue(uint32_t index, float value) override
    {
        if (index == kOffline)
            fOffline = value >= 0.5f;
        else
            fBridge.link.setParameter(index, value);
    }

    void bufferSizeChanged(uint32_t frames) override
    {
        fBridge.setBlock(frames);
        setLatency(fBridge.latency());
    }

    void activate() override
    {
        fBridge.activate(getSampleRate(), fOffline);
        setLatency(fBridge.latency());
    }

    void run(const float** inputs, float** outputs, uint32_t frames) override
    {
        const TimePosition& time = getTimePosition();
        if (time.bbt.valid)
            fBridge.link.setParameter(kTempo, time.bbt.beatsPerMinute);
        fBridge.play(inputs, outputs, frames, fOffline, time.bbt.valid && !time.playing);
        setLatency(fBridge.latency());
        const uint32_t moved = fBridge.link.takeMoved();
        for (uint32_t index = 0; moved != 0 && index < kParameters; ++index)
            if ((moved >> index & 1u) != 0)
                requestParameterValueChange(index, fBridge.link.parameter(index));
    }

private:
    static void name(Parameter& parameter, const char* shown, const char* symbol)
    {
        parameter.name = shown;
        parameter.symbol = symbol;
    }

    static void initPreset(Parameter& parameter)
    {
        const std::vector<std::string> names = presetNames();
        auto* values = new ParameterEnumerationValue[names.size()];
        for (size_t i = 0; i < names.size(); ++i) {
            values[i].value = static_cast<float>(i);
            values[i].label = names[i].c_str();
        }
        parameter.enumValues.count = static_cast<uint8_t>(names.size());
        parameter.enumValues.values = values;  // DPF deletes them
        parameter.hints |= kParameterIsInteger;
        parameter.ranges.max = kMostPresets - 1;
        name(parameter, "Preset", "preset");
    }

    Bridge fBridge;
    std::atomic<bool> fOffline {false};

    DISTRHO_DECLARE_NON_COPYABLE_WITH_LEAK_DETECTOR(GramophonePlugin)
};

Plugin* createPlugin()
{
    return new GramophonePlugin();
}

END_NAMESPACE_DISTRHO

void gramophoneSetOffline(void* plugin, bool offline)
{
    static_cast<DISTRHO_NAMESPACE::GramophonePlugin*>(plugin)->setOffline(offline);
}

std::string gramophoneText(void* plugin, uint32_t index, double value)
{
    return static_cast<DISTRHO_NAMESPACE::GramophonePlugin*>(plugin)->text(index, value);
}

uint32_t gramophoneNumber(const char* uri)
{
    static std::mutex lock;
    static std::map<std::string, uint32_t> numbers;
    const std::lock_guard<std::mutex> one(lock);
    return numbers.emplace(uri, numbers.size() + 1).first->second;
}
