/* The sound's way through the plug-in: blocks of the host go to the engine and come back a constant time later; while there is no
   engine, the sound is dry and as late. The audio thread waits for the engine only while the host bounces. */
#pragma once

#include "block_exchange.hpp"
#include "engine_link.hpp"

#include <cfloat>

namespace gramophone {

enum Index : uint32_t { kBypass, kMix, kPreset, kFirstMacro, kFirstFree = 11 };

class Bridge {
public:
    /* `patience`: seconds that a bounce waits for a block before the rest of it is dry. */
    explicit Bridge(uint32_t channels, double patience = 30.0)
        : fChannels(channels), fPatienceS(patience), fExchange(channels),
          link(channels, {fExchange.input.descriptor(), fExchange.output.descriptor()})
    {
        link.setParameter(kMix, 1.0f);
    }

    /* Not while blocks are played: the longest block, in frames, to be expected from the host. */
    void setBlock(uint32_t frames)
    {
        fBlock = std::min(std::max(frames, 1u), kLongest);  // a longer one of the host is sent in parts
        follow(fReady, false);
    }

    /* Begin after silence at `rate` Hz, with an engine if one comes in time. */
    void activate(double rate)
    {
        fExchange.clear();
        fDry.clear();
        fThere = 0.0f;
        fBounces = fStated = false;
        link.setParameter(kBounce, 0.0);
        link.setFormat(rate, fBlock);
        link.waitUntilSet(offline() ? kComeS : kStartS);  // Ardour does not follow each latency that is reported later
        fReady = link.ready();
        fAwaits = link.expects();
        follow(fReady, false);
    }

    /* Play a block of any length; `in` and `out` may be the same places. `standing`: the host says that its transport stands. */
    void play(const float* const* in, float* const* out, uint32_t frames, bool standing = false)
    {
        // a bounce for which the host does not activate anew, and whose transport stands, begins with the first sound: Ardour plays a
        // second of silence before, and some more after its transport has started
        const bool bounced = std::exchange(fBounces, offline());
        if (fBounces != bounced)
            link.setParameter(kBounce, !fBounces ? 0.0 : standing && fDry.end() > 0 ? 2.0 : 1.0);
        fGaveUp = fBounces && ((fGaveUp && bounced) || (!link.waitUntilSet(kComeS) && link.alive()));
        for (uint32_t now, done = 0; done < frames; done += now) {  // a host may send more than it announced
            now = std::min(frames - done, fBlock);
            const float* from[2] {in[0] + done, in[fChannels - 1] + done};
            float* to[2] {out[0] + done, out[fChannels - 1] + done};
            playPart(from, to, now);
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
        return ahead(ready) + ready.delay;
    }

private:
    static constexpr double kStartS = 2.8;   // that activation waits for an engine
    static constexpr double kComeS = 130.0;  // that a bounce waits for an engine: the link gives up before
    static constexpr uint32_t kBounceAhead = 2 * kLongest;  // where the host begins with a bounce: the engine joins what waits to long blocks
    static constexpr double kBusyS = 1e-3;   // of a block's without sleep, which a short one would be over in: the system sleeps for 70 us

    bool offline() const { return link.parameter(kOffline) >= 0.5f; }
    uint32_t ahead(const Ready& ready) const { return std::max(ready.blocks * fBlock, offline() ? kBounceAhead : 0); }

    void playPart(const float* const* in, float* const* out, uint32_t frames)
    {
        const float part = 1.0f / static_cast<float>(frames);
        const float mix = link.parameter(kBypass) < 0.5f ? std::clamp(link.parameter(kMix), 0.0f, 1.0f) : 0.0f;
        const float from = std::exchange(fMix, mix), change = fDry.end() > 0 ? mix - from : 0.0f;
        const int end = static_cast<int>(frames);
        for (int i = 0; i < end; ++i)  // it goes with the sound that it was set for
            fShares[i] = mix - change * (1.0f - part * static_cast<float>(i + 1));
        const float* const rows[] {in[0], in[fChannels - 1], fShares};
        fExchange.send(in, frames);
        fDry.write(rows, frames);  // before anything is written to `out`, which may be the same place
        const bool there = !fGaveUp && due(frames);
        fDry.read(fDelayed, frames, latency());
        const float now = there ? 1.0f : 0.0f, before = fBounces && fDry.end() == frames ? now : fThere;  // a bounce begins as it goes on
        for (uint32_t channel = 0; channel < fChannels; ++channel) {
            const float *const dry = fDelayed[channel], *const wet = fWet[channel], *const share = fDelayed[kNoteRow];
            const float step = before * share[0] > 0.0f ? fLast[channel] - dry[0] : 0.0f;  // dies away in this block where the engine's sound ends
            for (int i = 0; i < end; ++i) {
                const float wetness = share[i] * (before + (now - before) * part * static_cast<float>(i + 1));
                const float more = there ? wetness * (wet[i] - dry[i]) : step * (1.0f - part * static_cast<float>(i));
                out[channel][i] = normal(wetness >= 1.0f ? wet[i] : dry[i] + more);
            }
            fLast[channel] = out[channel][frames - 1];
        }
        fThere = now;
    }

    /* No subnormal number, which slows down what comes after, nor what is none. */
    static float normal(float sound) { return (std::fabs(sound) >= FLT_MIN) & (std::fabs(sound) <= FLT_MAX) ? sound : 0.0f; }

    /* Copy the engine's sound that is due, for which a bounce waits; return the latency that it went through, or why there is none. */
    int64_t take(uint32_t frames)
    {
        for (const auto began = std::chrono::steady_clock::now(); !fExchange.hasCome(fAhead) && fBounces && link.alive() && !fGaveUp;) {
            const std::chrono::duration<double> waited = std::chrono::steady_clock::now() - began;
            fGaveUp = waited.count() > fPatienceS;
            waited.count() < kBusyS ? std::this_thread::yield() : static_cast<void>(usleep(50));
        }
        return fExchange.read(fWet, frames, fAhead);
    }

    /* Take what is due now; false if it is not there. */
    bool due(uint32_t frames)
    {
        const Ready ready = link.ready();
        if (std::exchange(fReady, ready) != ready) {
            fAwaits = link.expects();
            follow(ready, fBounces && !fStated.exchange(false));
        }
        const int64_t delay = take(frames);
        if (delay == BlockExchange::kSilent)  // without an engine the dry sound begins as it goes on
            return link.alive();
        fAwaits = fAwaits && delay != fDelay;
        if (delay == BlockExchange::kLost || fAwaits || delay == fDelay)  // what is not the project's chain: dry, and as late as that will be
            return delay == fDelay;
        follow({static_cast<uint32_t>(delay), fReady.blocks}, fBounces);  // from this block on the chain has another latency
        return take(frames) != BlockExchange::kLost;
    }

    /* Set how late the sound is from now on. A bounce stays as late as its host was told, since that compensates what it heard first;
       as every block is waited for, the engine then needs no time ahead. */
    void follow(const Ready& needed, bool keepsLatency)
    {
        fAhead = keepsLatency && needed.delay <= latency() ? latency() - needed.delay : ahead(needed);
        fDelay = needed.delay;
    }

    const uint32_t fChannels;
    const double fPatienceS;
    BlockExchange fExchange;
    DelayLine fDry {kNoteRow + 1};       // the host's sound, and how much of the engine's is to be in its place
    Block fWet, fDelayed;                // the engine's sound that is due, and the dry one as late
    uint32_t fBlock = kLongest;
    uint32_t fAhead = kLongest, fDelay = 0;  // what was sent so many samples ago is due; the latency of the chain
    Ready fReady;                        // what the engine reported when `fAhead` was set
    std::atomic<bool> fStated {false};   // the host was told the latency of another chain by `setState`
    bool fAwaits = false;                // that is of the project's chain, from which nothing has come back yet
    float fMix = 0.0f, fShares[kLongest];  // what the host has set: at the end of the last block, and in the one that is sent
    float fThere = 0.0f, fLast[2] {};    // whether the engine's sound was there for the last block, and that block's last samples
    bool fBounces = false, fGaveUp = false;  // whether the last block was part of a bounce, and the rest of that is dry

public:
    EngineLink link;  // last: its thread uses what stands before
};

}  // namespace gramophone
