/* The plug-in as hosts see it through DPF. */
#include "DistrhoPlugin.hpp"

#include "bridge.hpp"

#include <fstream>

START_NAMESPACE_DISTRHO

using namespace gramophone;

class GramophonePlugin : public Plugin {
public:
    GramophonePlugin() : Plugin(kPage + 1, 0, 1), fBridge(GRAMOPHONE_CHANNELS) { bufferSizeChanged(getBufferSize()); }

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
    int64_t getUniqueId() const override { return GRAMOPHONE_CHANNELS == 1 ? d_cconst('G', 'r', 'm', '1') : d_cconst('G', 'r', 'a', 'm'); }

    void initAudioPort(bool input, uint32_t index, AudioPort& port) override
    {
        port.groupId = GRAMOPHONE_CHANNELS == 1 ? kPortGroupMono : kPortGroupStereo;
        Plugin::initAudioPort(input, index, port);
    }

    void initParameter(uint32_t index, Parameter& parameter) override
    {
        static const char* const names[] {"Bypass", "Mix", "Preset", "Macro 1", "Macro 2", "Macro 3", "Macro 4", "Macro 5", "Macro 6",
            "Macro 7", "Macro 8", "Free 1", "Free 2", "Free 3", "Free 4", "Free 5", "Offline", "Page"};
        parameter.name = names[index];
        parameter.symbol = String(names[index]).toLower().toBasic();
        parameter.hints = index < kParameters ? kParameterIsAutomatable : kParameterIsInteger;
        parameter.ranges = ParameterRanges(index == kMix ? 1.0f : 0.0f, 0.0f, index == kPage ? 65535.0f : 1.0f);
        if (index == kBypass)
            parameter.initDesignation(kParameterDesignationBypass);
        else if (index == kPreset)
            initPreset(parameter);
        else if (index >= kParameters)
            parameter.hints |= index == kPage ? kParameterIsOutput : kParameterIsBoolean;
    }

    void initState(uint32_t, State& state) override
    {
        state.key = "project";
        state.defaultValue = "";
    }

    String getState(const char*) const override { return String(fBridge.link.state().c_str()); }

    void setState(const char*, const char* value) override
    {
        setLatency(fBridge.setState(value));  // before the first block, from which on Ardour does not follow it
    }

    float getParameterValue(uint32_t index) const override { return fBridge.link.parameter(index); }
    void setParameterValue(uint32_t index, float value) override { fBridge.link.setParameter(index, value); }

    void bufferSizeChanged(uint32_t frames) override
    {
        fBridge.setBlock(frames);
        setLatency(fBridge.latency());
    }

    void activate() override
    {
        fBridge.activate(getSampleRate());
        setLatency(fBridge.latency());
    }

    void run(const float** inputs, float** outputs, uint32_t frames) override
    {
        const TimePosition& time = getTimePosition();
        if (time.bbt.valid)
            fBridge.link.setParameter(kTempo, time.bbt.beatsPerMinute);
        fBridge.play(inputs, outputs, frames, time.bbt.valid && !time.playing);
        setLatency(fBridge.latency());
        for (uint32_t index = 0, moved = fBridge.link.takeMoved(); index < kParameters && moved >> index != 0; ++index)
            if ((moved >> index & 1u) != 0)
                requestParameterValueChange(index, fBridge.link.parameter(index));
    }

private:
    /* The presets' names by their numbers; 0 is the default, or the project's own. */
    static void initPreset(Parameter& parameter)
    {
        constexpr uint8_t most = 128;
        auto* values = new ParameterEnumerationValue[most];
        uint8_t count = 0;
        std::ifstream file(configurationFile("bridge.presets"));
        for (std::string name = "(default)"; count < most && (count == 0 || std::getline(file, name)); ++count) {
            values[count].value = count;
            values[count].label = name.c_str();
        }
        parameter.enumValues.count = count;
        parameter.enumValues.values = values;  // DPF deletes them
        parameter.hints |= kParameterIsInteger;
        parameter.ranges.max = most - 1;
    }

    mutable Bridge fBridge;  // the state is fetched from the engine

    DISTRHO_DECLARE_NON_COPYABLE_WITH_LEAK_DETECTOR(GramophonePlugin)
};

Plugin* createPlugin() { return new GramophonePlugin(); }

END_NAMESPACE_DISTRHO

std::string gramophoneText(void* plugin, unsigned index, double value)
{
    return static_cast<DISTRHO_NAMESPACE::GramophonePlugin*>(plugin)->text(index, value);
}
