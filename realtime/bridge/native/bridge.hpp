/* The sound's way through the plug-in: blocks of the host go to the engine and come back a constant time later; while there is no
   engine, the sound is dry and as late. The audio thread waits for the engine only while the host bounces. */
#pragma once

#include "block_exchange.hpp"
#include "engine_link.hpp"

namespace gramophone {

enum Index : uint32_t { kBypass, kMix, kPreset, kFirstMacro, kFirstFree = 11 };

class Bridge {
public:
    /* `patience`: seconds that a bounce waits for a block before the rest of it is dry. */
    explicit Bridge(uint32_t channels, double patience = 30.0)
        : fChannels(channels), fPatienceS(patience), fExchange(channels), fDry(channels),
          link(channels, {fExchange.input.descriptor(), fExchange.output.descriptor()})
    {
        link.setParameter(kMix, 1.0f);
    }

    /* Not while blocks are played: the longest block, in frames, to be expected from the host. */
    void setBlock(uint32_t frames)
    {
        fBlock = std::min(std::max(frames, 1u), kLongest);  // a longer one of the host is sent in parts
        follow(fBlock, 0, false);
    }

    /* Begin after silence at `rate` Hz, with an engine if one comes in time. */
    void activate(double rate)
    {
        fExchange.clear();
        fDry.clear();
        fShare = 0.0f;
        fBounces = fStated = false;
        link.setParameter(kBounce, 0.0);
        link.setFormat(rate, fBlock);
        link.waitUntilSet(offline() ? kComeS : kStartS);  // Ardour does not follow each latency that is reported later
        fReady = link.ready();
        fAwaits = link.expects();
        follow(fReady.blocks * fBlock, fReady.delay, false);
    }

    /* Play a block of any length; `in` and `out` may be the same places. `standing`: the host says that its transport stands. */
    void play(const float* const* in, float* const* out, uint32_t frames, bool standing = false)
    {
        // a bounce for which the host does not activate anew, and whose transport stands, begins with the first sound: Ardour plays a
        // second of silence before, and some more after its transport has started
        const bool bounced = std::exchange(fBounces, offline());
        if (fBounces != bounced)
            link.setParameter(kBounce, !fBounces ? 0.0 : standing && fDry.end() > 0 ? 2.0 : 1.0);
        fGaveUp = fGaveUp && fBounces && bounced;
        if (fBounces && !fGaveUp)
            fGaveUp = !link.waitUntilSet(kComeS) && link.alive();
        for (uint32_t done = 0; done < frames;) {  // a host may send more than it announced
            const uint32_t now = std::min(frames - done, fBlock);
            const float* from[2] {in[0] + done, in[fChannels - 1] + done};
            float* to[2] {out[0] + done, out[fChannels - 1] + done};
            playPart(from, to, now);
            done += now;
        }
        if (fGaveUp)
            link.say("the engine does not answer; the rest of the bounce is dry");
    }

    /* How late the sound is, in samples. */
    uint32_t latency() const { return fAhead + fDelay; }

    /* Take the project's state; return how late the sound will be with it, which the host is to be told now. */
    uint32_t setState(const std::string& state)
    {
        fStated = true;  // first: a block may be played meanwhile
        link.setState(state);
        const Ready ready = link.ready();
        return ready.blocks * fBlock + ready.delay;
    }

private:
    static constexpr double kStartS = 2.8;   // that activation waits for an engine
    static constexpr double kComeS = 130.0;  // that a bounce waits for an engine: the link gives up before
    static constexpr double kBusyS = 1e-3;   // of a block's without sleep, which a short one would be over in: the system sleeps for 70 us

    bool offline() const { return link.parameter(kOffline) >= 0.5f; }

    void playPart(const float* const* in, float* const* out, uint32_t frames)
    {
        fExchange.send(in, frames);
        fDry.write(in, frames);  // before anything is written to `out`, which may be the same place
        if (fBounces)  // the engine is never ahead of the host: what that sets is for the next block, not for one that still waits
            await();
        const bool there = !fGaveUp && due(frames);
        const float target = there && link.parameter(kBypass) < 0.5f ? std::min(std::max(link.parameter(kMix), 0.0f), 1.0f) : 0.0f;
        const float before = fBounces && fDry.end() == frames ? target : fShare;  // a bounce begins as it goes on
        const float part = 1.0f / static_cast<float>(frames);
        fDry.read(fDelayed, frames, latency());
        for (uint32_t channel = 0; channel < fChannels; ++channel) {
            const float* const dry = fDelayed[channel];
            const float step = fShare > 0.0f ? fLast[channel] - dry[0] : 0.0f;  // dies away in this block where the engine's sound ends
            for (uint32_t i = 0; i < frames; ++i) {
                const float share = before + (target - before) * part * static_cast<float>(i + 1);
                const float wet = fWet[channel][i];
                const float more = there ? share * (wet - dry[i]) : step * (1.0f - part * static_cast<float>(i));
                const float sound = there && share >= 1.0f ? wet : dry[i] + more;
                out[channel][i] = std::isnormal(sound) ? sound : 0.0f;  // subnormal numbers slow down what comes after
            }
            fLast[channel] = out[channel][frames - 1];
        }
        fShare = target;
    }

    /* Wait until the engine has answered the block that was sent last. */
    void await()
    {
        const auto began = std::chrono::steady_clock::now();
        while (link.alive() && !fExchange.answered() && !fGaveUp) {
            const std::chrono::duration<double> waited = std::chrono::steady_clock::now() - began;
            fGaveUp = waited.count() > fPatienceS;
            if (waited.count() < kBusyS)
                std::this_thread::yield();
            else
                usleep(50);
        }
    }

    /* Copy the engine's sound that is due now; false if it is not there. */
    bool due(uint32_t frames)
    {
        const Ready ready = link.ready();
        if (ready != fReady) {
            fReady = ready;
            fAwaits = link.expects();
            follow(ready.blocks * fBlock, ready.delay, fBounces && !fStated.exchange(false));
        }
        fExchange.collect();
        const int64_t delay = fExchange.read(fWet, frames, fAhead);
        if (delay == BlockExchange::kSilent)  // without an engine the dry sound begins as it goes on
            return link.alive();
        fAwaits = fAwaits && delay != fDelay;
        if (delay == BlockExchange::kLost || fAwaits || delay == fDelay)  // what is not the project's chain: dry, and as late as that will be
            return delay == fDelay;
        follow(fReady.blocks * fBlock, static_cast<uint32_t>(delay), fBounces);  // from this block on the chain has another latency
        return fExchange.read(fWet, frames, fAhead) != BlockExchange::kLost;
    }

    /* Set how late the sound is from now on. A bounce stays as late as its host was told, since that compensates what it heard first;
       as every block is waited for, the engine then needs no time ahead. */
    void follow(uint32_t ahead, uint32_t delay, bool keepsLatency)
    {
        const uint32_t before = latency();
        fAhead = keepsLatency && delay <= before ? before - delay : ahead;
        fDelay = delay;
    }

    const uint32_t fChannels;
    const double fPatienceS;
    BlockExchange fExchange;
    DelayLine fDry;
    Block fWet, fDelayed;                // the engine's sound that is due, and the dry one as late
    uint32_t fBlock = kLongest;
    uint32_t fAhead = kLongest, fDelay = 0;  // what was sent so many samples ago is due; the latency of the chain
    Ready fReady;                        // what the engine reported when `fAhead` was set
    std::atomic<bool> fStated {false};   // the host was told the latency of another chain by `setState`
    bool fAwaits = false;                // that is of the project's chain, from which nothing has come back yet
    float fShare = 0.0f, fLast[2] {};    // of the engine's sound at the end of the last block, and that block's last samples
    bool fBounces = false, fGaveUp = false;  // whether the last block was part of a bounce, and the rest of that is dry

public:
    EngineLink link;  // last: its thread uses what stands before
};

}  // namespace gramophone
