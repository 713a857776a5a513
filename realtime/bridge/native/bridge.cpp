#include "bridge.hpp"

#include <sys/socket.h>

namespace gramophone {

namespace {

constexpr uint32_t kLongestBlock = 4096;  // a longer one of the host is sent in parts
constexpr double kStartS = 2.8;           // that activation waits for an engine
constexpr double kComeS = 120.0;          // that a bounce waits for an engine: the first on a machine compiles
constexpr double kBounceS = 30.0;         // that a bounce waits for a block before it goes on dry

}  // namespace

Bridge::Bridge(uint32_t channels) : link(channels), fChannels(channels)
{
    link.setParameter(kMix, 1.0f);
    setBlock(kLongestBlock);
}

void Bridge::setBlock(uint32_t frames)
{
    fBlock = std::min(std::max(frames, 1u), kLongestBlock);
    for (auto* spare : {&fWet[0], &fWet[1], &fDelayed})
        spare->assign(fBlock, 0.0f);
    follow(fBlock, 0, false);
}

void Bridge::activate(double rate, bool offline)
{
    for (DelayLine& line : fDry)
        line.clear();
    fTime = 0;
    fFirst = fNumber;
    fShare = 0.0f;
    link.setOffline(offline);
    link.setFormat(rate, fBlock);
    const bool set = waitForEngine(offline);
    fReady = link.ready();
    if (set)
        follow(fReady.blocks * fBlock, fReady.delay, false);
}

/* Wait until the engine plays with all that was set; where one did not come before, nobody waits again until one has. */
bool Bridge::waitForEngine(bool offline)
{
    bool& patient = fPatient[offline];
    patient = link.waitUntilSet(patient || link.alive() ? (offline ? kComeS : kStartS) : 0.0);
    return patient;
}

void Bridge::play(const float* const* in, float* const* out, uint32_t frames, bool offline)
{
    link.setOffline(offline);
    if (offline) {
        if (fTime == 0)
            link.begin();
        waitForEngine(offline);
    }
    for (uint32_t done = 0; done < frames;) {  // a host may send more than it announced
        const uint32_t now = std::min(frames - done, fBlock);
        const float* from[2] {in[0] + done, in[fChannels - 1] + done};
        float* to[2] {out[0] + done, out[fChannels - 1] + done};
        playPart(from, to, now, offline);
        done += now;
    }
}

void Bridge::playPart(const float* const* in, float* const* out, uint32_t frames, bool offline)
{
    for (uint32_t channel = 0; channel < fChannels; ++channel)
        fDry[channel].write(in[channel], frames);  // first of all: in and out may be one place
    const bool there = exchange(in, frames, offline);
    const bool bypassed = link.parameter(kBypass) >= 0.5f;
    const float target = there && !bypassed ? std::min(std::max(link.parameter(kMix), 0.0f), 1.0f) : 0.0f;
    const float before = offline && fTime == frames ? target : fShare;  // a bounce begins as it goes on
    const float step = (target - before) / static_cast<float>(frames);
    for (uint32_t channel = 0; channel < fChannels; ++channel) {
        float* dry = fDelayed.data();
        const float* wet = fWet[channel].data();
        fDry[channel].read(dry, frames, latency());
        if (!there)
            fade(dry, frames, fLast[channel]);
        for (uint32_t i = 0; i < frames; ++i) {
            const float share = before + step * static_cast<float>(i + 1);
            const float mixed = share >= 1.0f ? wet[i] : dry[i] + share * (wet[i] - dry[i]);
            out[channel][i] = there ? mixed : dry[i];
        }
        fLast[channel] = out[channel][frames - 1];
    }
    fShare = target;
}

/* Where the engine's sound ends, the step down to the dry one dies away within the block. */
void Bridge::fade(float* dry, uint32_t frames, float last) const
{
    if (fShare <= 0.0f)
        return;
    const float step = last - dry[0];
    for (uint32_t i = 0; i < frames; ++i)
        dry[i] += step * (1.0f - static_cast<float>(i) / static_cast<float>(frames));
}

/* Send a block and fetch what is due now; false where it is not there. */
bool Bridge::exchange(const float* const* in, uint32_t frames, bool offline)
{
    const EngineLink::Access memory {link};
    const Ready ready = link.ready();
    if (memory && (ready.blocks != fReady.blocks || ready.delay != fReady.delay)) {
        fReady = ready;
        follow(ready.blocks * fBlock, ready.delay, offline);
    }
    const bool sent = memory && send(*memory.operator->(), in, frames);
    fTime += frames;
    uint32_t delay = fDelay;
    // in a bounce the engine is never ahead of the host: what that sets is for the next block, not for one that still waits
    if (!sent || (offline && !await(memory->output, fNumber - 1)) || !fetch(memory->output, frames, delay))
        return false;
    if (delay == fDelay)
        return true;
    follow(fReady.blocks * fBlock, delay, offline);
    return fetch(memory->output, frames, delay);
}

bool Bridge::send(EngineLink::Memory& memory, const float* const* in, uint32_t frames)
{
    if (memory.input.longest() < frames)
        return false;
    if (memory.generation != fGeneration) {
        fGeneration = memory.generation;
        fNumber = fFirst = 0;
    }
    memory.input.write(fNumber, in, frames);
    fLengths[fNumber % kKept] = frames;
    ++fNumber;
    ::send(memory.wake, "w", 1, MSG_DONTWAIT | MSG_NOSIGNAL);  // whatever the engine gave as its wake-up, this does not wait
    return true;
}

/* Copy the engine's samples of the time `fAhead` before now out of the blocks that they came back in. */
bool Bridge::fetch(const Ring& ring, uint32_t frames, uint32_t& delay)
{
    const int64_t due = static_cast<int64_t>(fTime) - frames - fAhead;
    int64_t number = fNumber, begin = static_cast<int64_t>(fTime);
    while (begin > due && number > fFirst && number > fNumber - kKept)
        begin -= fLengths[--number % kKept];
    uint32_t done = 0;
    if (begin > due) {
        if (begin != 0)
            return false;  // it was sent before there was this engine
        done = static_cast<uint32_t>(std::min<int64_t>(-due, frames));
        for (auto& wet : fWet)
            std::fill_n(wet.begin(), done, 0.0f);  // it is silent before the beginning
    }
    for (; done < frames; ++number) {
        const uint32_t length = fLengths[number % kKept], first = static_cast<uint32_t>(due + done - begin);
        const uint32_t now = std::min(frames - done, length - first);
        float* to[2] {fWet[0].data() + done, fWet[1].data() + done};
        if (!ring.read(number, length, first, to, now, delay))
            return false;
        done += now;
        begin += length;
    }
    return true;
}

/* While the host bounces: wait until a block is there; false if it never will be. */
bool Bridge::await(const Ring& ring, int64_t number)
{
    for (uint32_t waited = 0; waited < kBounceS * 1e6 && link.alive(); waited += 20) {
        const bool passed = ring.newest() > number;  // asked first: the engine may write both blocks between two questions
        if (ring.has(number) || passed)
            return ring.has(number);
        usleep(20);
    }
    return false;
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
