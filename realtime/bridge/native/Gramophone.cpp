/* The plug-in: blocks of the host go to the engine and come back a constant time later; while there is none, the sound is dry and
   as late. The audio thread never waits for the engine, except while the host bounces. */
#include "DistrhoPlugin.hpp"

#include "delay_line.hpp"
#include "engine_link.hpp"

#include <array>
#include <sys/socket.h>
#include <unistd.h>

/* Set by the build's hook in DPF's VST3 part before each block: whether the host bounces. */
thread_local bool gramophoneVst3Offline = false;

START_NAMESPACE_DISTRHO

namespace {

enum Index : uint32_t { kBypass, kMix, kPreset, kFirstMacro, kFirstFree = 11, kOffline = gramophone::kParameters };

constexpr uint32_t kLongestBlock = 4096;  // a longer one of the host is sent in parts
constexpr double kStartS = 2.8;     // that activation waits for an engine
constexpr double kComeS = 120.0;    // that a bounce waits for an engine: the first on a machine compiles
constexpr double kBounceS = 30.0;   // that a bounce waits for a block before it goes on dry

struct Sent {
    int64_t number = -1;
    uint64_t begin = 0;
    uint32_t frames = 0;
};

}  // namespace

class GramophonePlugin : public Plugin {
public:
    GramophonePlugin() : Plugin(gramophone::kParameters + 1, 0, 1)
    {
        fLink.setParameter(kMix, 1.0f);
        bufferSizeChanged(getBufferSize());
    }

protected:
    const char* getLabel() const override { return "Gramophone"; }
    const char* getMaker() const override { return "Gramophone"; }
    const char* getLicense() const override { return "MIT"; }
    const char* getDescription() const override { return "Plays one sound in the style of another."; }
    uint32_t getVersion() const override { return d_version(0, 2, 0); }
    int64_t getUniqueId() const override { return d_cconst('G', 'r', 'a', 'm'); }

    void initParameter(uint32_t index, Parameter& parameter) override
    {
        parameter.hints = kParameterIsAutomatable;
        parameter.ranges.min = 0.0f;
        parameter.ranges.max = 1.0f;
        parameter.ranges.def = 0.0f;
        if (index == kBypass) {
            parameter.initDesignation(kParameterDesignationBypass);
        } else if (index == kMix) {
            parameter.name = "Mix";
            parameter.symbol = "mix";
            parameter.ranges.def = 1.0f;
        } else if (index == kPreset) {
            parameter.hints |= kParameterIsInteger;
            parameter.name = "Preset";
            parameter.symbol = "preset";
            parameter.ranges.max = 127.0f;
        } else if (index == kOffline) {
            parameter.hints = kParameterIsBoolean | kParameterIsInteger;
            parameter.name = "Offline";
            parameter.symbol = "offline";
        } else {
            const bool macro = index < kFirstFree;
            const String number(static_cast<int>(index - (macro ? kFirstMacro : kFirstFree) + 1));
            parameter.name = String(macro ? "Macro " : "Free ") + number;
            parameter.symbol = String(macro ? "macro_" : "free_") + number;
        }
    }

    void initState(uint32_t, State& state) override
    {
        state.key = "preset";
        state.defaultValue = "";
        state.hints = kStateIsHostReadable | kStateIsHostWritable;
    }

    String getState(const char*) const override { return String(fLink.state().c_str()); }
    void setState(const char*, const char* value) override { fLink.setState(value); }

    float getParameterValue(uint32_t index) const override
    {
        return index == kOffline ? (fOffline ? 1.0f : 0.0f) : fLink.parameter(index);
    }

    void setParameterValue(uint32_t index, float value) override
    {
        if (index == kOffline)
            fOffline = value >= 0.5f;
        else
            fLink.setParameter(index, value);
    }

    void bufferSizeChanged(uint32_t frames) override
    {
        fBlock = std::min(std::max(frames, 1u), kLongestBlock);
        fSpare.assign(3 * fBlock, 0.0f);
        follow(fBlock, 0);
    }

    void activate() override
    {
        for (auto& line : fDry)
            line.clear();
        fSent.fill({});
        fTime = 0;
        fPatient = true;
        fWet = 0.0f;
        fLink.setFormat(getSampleRate(), fBlock);
        if (fLink.waitUntilReady(kStartS))
            fLink.waitUntilSet(kStartS);
        if (fLink.alive())
            follow(fLink.blocks() * fBlock, fLink.delay());
    }

    void run(const float** inputs, float** outputs, uint32_t frames) override
    {
        const bool offline = fOffline || gramophoneVst3Offline;
        fLink.setOffline(offline);
        const TimePosition& time = getTimePosition();
        if (time.bbt.valid)
            fLink.setTransport(time.bbt.beatsPerMinute, time.playing);
        if (offline && (fPatient = fLink.waitUntilReady(fPatient ? kComeS : 0.0))) {
            if (fTime == 0)
                fLink.begin();
            fLink.waitUntilSet(kBounceS);
        }
        for (uint32_t done = 0; done < frames;) {  // a host may send more than it announced
            const uint32_t now = std::min(frames - done, fBlock);
            const float* in[2] {inputs[0] + done, inputs[1] + done};
            float* out[2] {outputs[0] + done, outputs[1] + done};
            process(in, out, now, offline);
            done += now;
        }
    }

private:
    void process(const float* const* in, float* const* out, uint32_t frames, bool offline)
    {
        float* wet[2] {fSpare.data(), fSpare.data() + fBlock};
        float* dry = fSpare.data() + 2 * fBlock;
        for (uint32_t channel = 0; channel < 2; ++channel)
            fDry[channel].write(in[channel], frames);  // first of all: in and out may be one place
        uint32_t delay = fDelay;
        const bool there = exchange(in, wet, frames, offline, delay);
        if (there && delay != fDelay)
            follow(fAhead, delay);
        const bool bypassed = fLink.parameter(kBypass) >= 0.5f;
        const float target = there && !bypassed ? std::min(std::max(fLink.parameter(kMix), 0.0f), 1.0f) : 0.0f;
        const float from = there || offline ? fWet : 0.0f;
        const float begin = offline && fTime == 0 ? target : from;
        const float step = (target - begin) / static_cast<float>(frames);
        for (uint32_t channel = 0; channel < 2; ++channel) {
            fDry[channel].read(dry, frames, fAhead + fDelay);
            if (!there)
                fade(channel, dry, frames);
            for (uint32_t i = 0; i < frames; ++i) {
                const float share = begin + step * static_cast<float>(i + 1);
                out[channel][i] = share >= 1.0f ? wet[channel][i] : there ? dry[i] + share * (wet[channel][i] - dry[i]) : dry[i];
            }
            fLast[channel] = out[channel][frames - 1];
        }
        fWet = target;
        fTime += frames;
    }

    /* Where the engine's sound ends, the step down to the dry one dies away within the block. */
    void fade(uint32_t channel, float* dry, uint32_t frames) const
    {
        if (fWet <= 0.0f)
            return;
        const float step = fLast[channel] - dry[0];
        for (uint32_t i = 0; i < frames; ++i)
            dry[i] += step * (1.0f - static_cast<float>(i) / static_cast<float>(frames));
    }

    /* Send a block and fetch what is due now; false where it is not there. */
    bool exchange(const float* const* in, float* const* wet, uint32_t frames, bool offline, uint32_t& delay)
    {
        const gramophone::EngineLink::Access memory {fLink};
        if (!memory || memory->input.longest() < frames)
            return false;
        if (memory->generation != fGeneration) {
            fGeneration = memory->generation;
            fNumber = 0;
            fSent.fill({});
        }
        if (fAhead != fLink.blocks() * fBlock)
            follow(fLink.blocks() * fBlock, fLink.delay());
        memory->input.write(fNumber, in, frames);
        fSent[fNumber % kKept] = {fNumber, fTime, frames};
        ++fNumber;
        [[maybe_unused]] const ssize_t woken = send(memory->wake, "w", 1, MSG_DONTWAIT | MSG_NOSIGNAL);  // whatever it is
        return fetch(memory->output, wet, frames, offline, delay);
    }

    /* Copy the engine's samples of the time `fAhead` before now out of the blocks that they came back in. */
    bool fetch(const gramophone::Ring& ring, float* const* wet, uint32_t frames, bool offline, uint32_t& delay)
    {
        const int64_t due = static_cast<int64_t>(fTime) - static_cast<int64_t>(fAhead);
        uint32_t done = 0;
        if (due < 0) {  // before the beginning it is silent
            done = static_cast<uint32_t>(std::min<int64_t>(-due, frames));
            for (uint32_t channel = 0; channel < 2; ++channel)
                std::fill_n(wet[channel], done, 0.0f);
        }
        int64_t number = fNumber - 1;
        while (number > 0 && number > fNumber - kKept && fSent[(number - 1) % kKept].number == number - 1
               && fSent[number % kKept].begin > static_cast<uint64_t>(due + done))
            --number;
        for (; done < frames; ++number) {
            const Sent& sent = fSent[((number % kKept) + kKept) % kKept];
            const uint64_t from = static_cast<uint64_t>(due + done);
            if (sent.number != number || sent.begin > from || from >= sent.begin + sent.frames)
                return false;
            if (offline && !await(ring, number))
                return false;
            const uint32_t first = static_cast<uint32_t>(from - sent.begin);
            const uint32_t now = std::min(frames - done, sent.frames - first);
            float* to[2] {wet[0] + done, wet[1] + done};
            if (!ring.read(number, sent.frames, first, to, now, delay))
                return false;
            done += now;
        }
        return true;
    }

    bool await(const gramophone::Ring& ring, int64_t number) const
    {
        for (uint32_t waited = 0; !ring.has(number); waited += 20) {
            if (waited > kBounceS * 1e6 || !fLink.alive() || ring.newest() > number)
                return false;
            usleep(20);
        }
        return true;
    }

    /* Report how late the sound is from now on. */
    void follow(uint32_t ahead, uint32_t delay)
    {
        fAhead = ahead;
        fDelay = delay;
        setLatency(ahead + delay);
    }

    static constexpr int64_t kKept = 1024;

    mutable gramophone::EngineLink fLink;
    std::array<gramophone::DelayLine, 2> fDry;
    std::array<Sent, kKept> fSent {};
    std::vector<float> fSpare;
    uint32_t fBlock = 1, fAhead = 0, fDelay = 0;
    uint64_t fTime = 0, fGeneration = 0;
    int64_t fNumber = 0;
    float fWet = 0.0f;
    float fLast[2] {};
    bool fOffline = false;
    bool fPatient = true;  // whether a bounce waits for an engine: once in vain is enough

    DISTRHO_DECLARE_NON_COPYABLE_WITH_LEAK_DETECTOR(GramophonePlugin)
};

Plugin* createPlugin()
{
    return new GramophonePlugin();
}

END_NAMESPACE_DISTRHO
