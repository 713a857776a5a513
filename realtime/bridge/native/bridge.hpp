/* The sound's way through the plug-in: blocks of the host go to the engine and come back a constant time later; while there is no
   engine, the sound is dry and as late. The audio thread waits for the engine only while the host bounces. */
#pragma once

#include "delay_line.hpp"
#include "engine_link.hpp"

#include <array>

namespace gramophone {

enum Index : uint32_t { kBypass, kMix, kPreset, kFirstMacro, kFirstFree = 11, kOffline = kParameters };

class Bridge {
public:
    explicit Bridge(uint32_t channels);

    /* Not while blocks are played: the longest block, in frames, to be expected from the host. */
    void setBlock(uint32_t frames);

    /* Begin after silence at `rate` Hz, with an engine if one comes in time. */
    void activate(double rate, bool offline);

    /* Play a block of any length; `in` and `out` may be the same places. `standing`: the host says that its transport stands. */
    void play(const float* const* in, float* const* out, uint32_t frames, bool offline, bool standing = false);

    /* How late the sound is, in samples. */
    uint32_t latency() const { return fAhead + fDelay; }

    EngineLink link;

private:
    void playPart(const float* const* in, float* const* out, uint32_t frames, bool offline);
    bool waitForEngine(bool offline);
    bool beginsBounce(const float* const* in, uint32_t frames, bool standing);
    bool exchange(const float* const* in, uint32_t frames, bool offline);
    bool send(EngineLink::Memory& memory, const float* const* in, uint32_t frames);
    void await(const Ring& ring, int64_t number);
    void collect(const Ring& ring);
    void lose(uint64_t frames);
    bool due(uint32_t frames, bool offline);
    void follow(uint32_t ahead, uint32_t delay, bool keepsLatency);
    void fade(float* dry, uint32_t frames, float last) const;

    static constexpr int64_t kKept = 1024;

    const uint32_t fChannels;
    std::array<DelayLine, 2> fDry, fWet;      // what was sent to the engine, and what has come back
    DelayLine fStated;                        // of each sample that came back: one more than the latency of what it went through,
                                              // negative where it was lost; 0 before the beginning
    std::vector<float> fNow[2], fDelayed, fDelays;
    std::array<uint32_t, kKept> fLengths {};  // of the blocks that were sent last, by number
    uint32_t fBlock = 1;
    uint32_t fAhead = 0, fDelay = 0;          // what was sent so many samples ago is due; the latency of the chain
    Ready fReady {0, 0};                      // what the engine reported when `fAhead` was set
    uint64_t fGeneration = 0;                 // of the memory
    int64_t fNumber = 0, fBack = 0;           // of the next block to send, and of the next to come back
    float fShare = 0.0f, fLast[2] {};         // of the engine's sound at the end of the last block, and that block's last samples
    bool fBounces = false, fWaits = false;    // whether the last block was part of a bounce, which waits for its first sound
    int fVain[2] {0, 0};                      // how often an engine was waited for in vain since the last came, live and offline
};

}  // namespace gramophone
