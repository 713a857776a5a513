#include "bridge.hpp"

#include <chrono>
#include <thread>

namespace gramophone {

namespace {

constexpr double kStartS = 2.8;    // that activation waits for an engine
constexpr double kComeS = 130.0;   // that a bounce waits for an engine: the link gives up before
constexpr double kBounceS = 30.0;  // that a bounce waits for a block before it goes on dry
constexpr double kBusyS = 1e-3;    // of these without sleep, which a short block would be over in: the system sleeps for 70 us at least

/* Where the engine's sound ends, the step down from its `last` sample to the dry ones dies away within the block. */
void fadeDown(float* dry, uint32_t frames, float last)
{
    const float step = last - dry[0];
    for (uint32_t i = 0; i < frames; ++i)
        dry[i] += step * (1.0f - static_cast<float>(i) / static_cast<float>(frames));
}

}  // namespace

Bridge::Bridge(uint32_t channels)
    : fChannels(channels), fExchange(channels), fDry(channels),
      link(channels, {fExchange.input.descriptor(), fExchange.output.descriptor()})
{
    link.setParameter(kMix, 1.0f);
    setBlock(kLongest);
}

void Bridge::setBlock(uint32_t frames)
{
    fBlock = std::min(std::max(frames, 1u), kLongest);  // a longer one of the host is sent in parts
    follow(fBlock, 0, false);
}

void Bridge::activate(double rate, bool offline)
{
    fExchange.clear();
    fDry.clear();
    fShare = 0.0f;
    fBounces = fStated = false;
    for (Ring* ring : {&fExchange.input, &fExchange.output})
        if (!link.alive())
            ring->touch();
    link.setFormat(rate, fBlock);
    link.waitUntilSet(offline ? kComeS : kStartS);  // Ardour does not follow each latency that is reported later
    fReady = link.ready();
    fAwaits = link.expects();
    follow(fReady.blocks * fBlock, fReady.delay, false);
}

uint32_t Bridge::setState(const std::string& state)
{
    fStated = true;  // first: a block may be played meanwhile
    link.setState(state);
    const Ready ready = link.ready();
    return ready.blocks * fBlock + ready.delay;
}

void Bridge::play(const float* const* in, float* const* out, uint32_t frames, bool offline, bool standing)
{
    if (offline) {
        if (beginsBounce(in, frames, standing))
            link.begin();
        link.waitUntilSet(kComeS);
    }
    fBounces = offline;
    for (uint32_t done = 0; done < frames;) {  // a host may send more than it announced
        const uint32_t now = std::min(frames - done, fBlock);
        const float* from[2] {in[0] + done, in[fChannels - 1] + done};
        float* to[2] {out[0] + done, out[fChannels - 1] + done};
        playPart(from, to, now, offline);
        done += now;
    }
}

/* Whether a bounce begins with this block. One for which the host does not activate anew, and whose transport stands, begins with the
   first sound: Ardour plays a second of silence before, and some more after its transport has started. */
bool Bridge::beginsBounce(const float* const* in, uint32_t frames, bool standing)
{
    bool silent = true;
    for (uint32_t channel = 0; channel < fChannels; ++channel)
        silent = silent && std::all_of(in[channel], in[channel] + frames, [](float sample) { return sample == 0.0f; });
    const bool begins = !fBounces || (fWaits && !silent);
    fWaits = silent && (begins ? standing && fDry.end() > 0 : fWaits);
    return begins;
}

void Bridge::playPart(const float* const* in, float* const* out, uint32_t frames, bool offline)
{
    fExchange.send(in, frames);
    fDry.write(in, frames);  // before anything is written to `out`, which may be the same place
    if (offline)  // the engine is never ahead of the host: what that sets is for the next block, not for one that still waits
        await();
    const bool there = due(frames, offline);
    const float target = there && link.parameter(kBypass) < 0.5f ? std::min(std::max(link.parameter(kMix), 0.0f), 1.0f) : 0.0f;
    const float before = offline && fDry.end() == frames ? target : fShare;  // a bounce begins as it goes on
    const float step = (target - before) / static_cast<float>(frames);
    const bool whole = there && before >= 1.0f && target >= 1.0f;
    if (!whole)
        fDry.read(fDelayed, frames, latency());
    for (uint32_t channel = 0; channel < fChannels; ++channel) {
        float* const dry = fDelayed[channel];
        const float* const wet = fWet[channel];
        if (!there && fShare > 0.0f)
            fadeDown(dry, frames, fLast[channel]);
        if (!there || whole)
            std::copy_n(whole ? wet : dry, frames, out[channel]);
        for (uint32_t i = 0; there && !whole && i < frames; ++i) {
            const float share = before + step * static_cast<float>(i + 1);
            out[channel][i] = share >= 1.0f ? wet[i] : dry[i] + share * (wet[i] - dry[i]);
        }
        fLast[channel] = out[channel][frames - 1];
    }
    fShare = target;
}

/* Wait until the engine has answered the block that was sent last. */
void Bridge::await()
{
    const auto began = std::chrono::steady_clock::now();
    while (link.alive() && !fExchange.answered()) {
        const std::chrono::duration<double> waited = std::chrono::steady_clock::now() - began;
        if (waited.count() > kBounceS)
            return;
        if (waited.count() < kBusyS)
            std::this_thread::yield();
        else
            usleep(50);
    }
}

/* Copy the engine's sound that is due now; false if it is not there. */
bool Bridge::due(uint32_t frames, bool offline)
{
    const Ready ready = link.ready();
    if (ready != fReady) {
        fReady = ready;
        fAwaits = link.expects();
        follow(ready.blocks * fBlock, ready.delay, offline && !fStated.exchange(false));
    }
    fExchange.collect();
    const int64_t delay = fExchange.read(fWet, frames, fAhead);
    if (delay == BlockExchange::kSilent)  // without an engine the dry sound begins as it goes on
        return link.alive();
    if (delay == fDelay)
        fAwaits = false;
    if (delay == BlockExchange::kLost || fAwaits || delay == fDelay)  // what the project's chain is not: dry, and as late as that will be
        return delay == fDelay;
    follow(fReady.blocks * fBlock, static_cast<uint32_t>(delay), offline);  // from this block on the chain has another latency
    return fExchange.read(fWet, frames, fAhead) != BlockExchange::kLost;
}

/* Set how late the sound is from now on. A bounce stays as late as its host was told, since that compensates what it heard first;
   as every block is waited for, the engine then needs no time ahead. */
void Bridge::follow(uint32_t ahead, uint32_t delay, bool keepsLatency)
{
    const uint32_t before = latency();
    fAhead = keepsLatency && delay <= before ? before - delay : ahead;
    fDelay = delay;
}

}  // namespace gramophone
