/* The sound's way through the plug-in: blocks of the host go to the engine and come back a constant time later; while there is no
   engine, the sound is dry and as late. The audio thread waits for the engine only while the host bounces. */
#pragma once

#include "block_exchange.hpp"
#include "engine_link.hpp"

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

    /* Take the project's state; return how late the sound will be with it, which the host is to be told now. */
    uint32_t setState(const std::string& state);

private:
    void playPart(const float* const* in, float* const* out, uint32_t frames, bool offline);
    bool beginsBounce(const float* const* in, uint32_t frames, bool standing);
    void await();
    bool due(uint32_t frames, bool offline);
    void follow(uint32_t ahead, uint32_t delay, bool keepsLatency);

    const uint32_t fChannels;
    BlockExchange fExchange;
    DelayLine fDry;
    Block fWet, fDelayed;                // the engine's sound that is due, and the dry one as late
    uint32_t fBlock = 1;
    uint32_t fAhead = 0, fDelay = 0;     // what was sent so many samples ago is due; the latency of the chain
    Ready fReady;                        // what the engine reported when `fAhead` was set
    std::atomic<bool> fStated {false};   // the host was told the latency of another chain by `setState`
    bool fAwaits = false;                // that is of the project's chain, from which nothing has come back yet
    float fShare = 0.0f, fLast[2] {};    // of the engine's sound at the end of the last block, and that block's last samples
    bool fBounces = false, fWaits = false;  // whether the last block was part of a bounce, which waits for its first sound

public:
    EngineLink link;  // last: its thread uses what stands before
};

}  // namespace gramophone
