#include "bridge.hpp"

#include <sys/socket.h>

namespace gramophone {

namespace {

constexpr uint32_t kLongestBlock = 4096;  // a longer one of the host is sent in parts
constexpr double kStartS = 2.8;           // that activation waits for an engine
constexpr double kComeS = 120.0;          // that a bounce waits for an engine: the first on a machine compiles
constexpr double kBounceS = 30.0;         // that a bounce waits for a block before it goes on dry
constexpr int kPatience[] {3, 1};         // how often an engine is waited for in vain, live and offline, until one has come

}  // namespace

Bridge::Bridge(uint32_t channels) : link(channels), fChannels(channels)
{
    link.setParameter(kMix, 1.0f);
    setBlock(kLongestBlock);
}

void Bridge::setBlock(uint32_t frames)
{
    fBlock = std::min(std::max(frames, 1u), kLongestBlock);
    for (auto* spare : {&fNow[0], &fNow[1], &fDelayed, &fDelays})
        spare->assign(fBlock, 0.0f);
    follow(fBlock, 0, false);
}

void Bridge::activate(double rate, bool offline)
{
    for (DelayLine* line : {&fDry[0], &fDry[1], &fWet[0], &fWet[1], &fStated})
        line->clear();
    fBack = fNumber;
    fShare = 0.0f;
    fBounces = false;
    link.setOffline(offline);
    link.setFormat(rate, fBlock);
    const bool set = waitForEngine(offline);
    fReady = link.ready();
    if (set)
        follow(fReady.blocks * fBlock, fReady.delay, false);
}

/* Wait until the engine plays with all that was set. Ardour activates three times before it plays a session, and does not follow each
   latency that is reported later. */
bool Bridge::waitForEngine(bool offline)
{
    const double seconds = offline ? kComeS : kStartS;
    const bool set = link.waitUntilSet(fVain[offline] < kPatience[offline] || link.alive() ? seconds : 0.0);
    fVain[offline] = set ? 0 : fVain[offline] + 1;
    return set;
}

void Bridge::play(const float* const* in, float* const* out, uint32_t frames, bool offline, bool standing)
{
    link.setOffline(offline);
    if (offline) {
        if (beginsBounce(in, frames, standing))
            link.begin();
        waitForEngine(offline);
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
    fWaits = silent && (begins ? standing && fDry[0].end() > 0 : fWaits);
    return begins;
}

void Bridge::playPart(const float* const* in, float* const* out, uint32_t frames, bool offline)
{
    for (uint32_t channel = 0; channel < fChannels; ++channel)
        fDry[channel].write(in[channel], frames);  // first of all: in and out may be one place
    const bool there = exchange(in, frames, offline);
    const bool bypassed = link.parameter(kBypass) >= 0.5f;
    const float target = there && !bypassed ? std::min(std::max(link.parameter(kMix), 0.0f), 1.0f) : 0.0f;
    const float before = offline && fDry[0].end() == frames ? target : fShare;  // a bounce begins as it goes on
    const float step = (target - before) / static_cast<float>(frames);
    for (uint32_t channel = 0; channel < fChannels; ++channel) {
        float* dry = fDelayed.data();
        const float* wet = fNow[channel].data();
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

/* Send a block, and have what is due now in `fNow`; false where it is not there. */
bool Bridge::exchange(const float* const* in, uint32_t frames, bool offline)
{
    const EngineLink::Access memory {link};
    const Ready ready = link.ready();
    if (memory && (ready.blocks != fReady.blocks || ready.delay != fReady.delay)) {
        fReady = ready;
        follow(ready.blocks * fBlock, ready.delay, offline);
    }
    if (!memory || !send(*memory.operator->(), in, frames)) {
        lose(fDry[0].end() - fStated.end());
        fBack = fNumber;
        return false;
    }
    if (offline)  // the engine is never ahead of the host: what that sets is for the next block, not for one that still waits
        await(memory->output, fNumber - 1);
    collect(memory->output);
    return due(frames, offline);
}

bool Bridge::send(EngineLink::Memory& memory, const float* const* in, uint32_t frames)
{
    if (memory.input.longest() < frames)
        return false;
    if (memory.generation != fGeneration) {
        fGeneration = memory.generation;
        fNumber = fBack = 0;
        lose(fDry[0].end() - frames - fStated.end());  // it was sent to another engine
    }
    memory.input.write(fNumber, in, frames);
    fLengths[fNumber % kKept] = frames;
    ++fNumber;
    ::send(memory.wake, "w", 1, MSG_DONTWAIT | MSG_NOSIGNAL);  // whatever the engine gave as its wake-up, this does not wait
    return true;
}

/* While the host bounces: wait until a block has come back, or never will. */
void Bridge::await(const Ring& ring, int64_t number)
{
    for (uint32_t waited = 0; waited < kBounceS * 1e6 && link.alive() && !ring.passed(number); waited += 20)
        usleep(20);
}

/* Take what has come back, in its order, without a gap. */
void Bridge::collect(const Ring& ring)
{
    float* to[2] {fNow[0].data(), fNow[1].data()};
    for (; fBack < fNumber; ++fBack) {
        const uint32_t frames = fLengths[fBack % kKept];
        const bool lost = ring.passed(fBack) || fNumber - fBack >= kKept;  // if it is not there: asked first, it may just come
        uint32_t delay = 0;
        if (ring.read(fBack, frames, to, delay)) {
            for (uint32_t channel = 0; channel < fChannels; ++channel)
                fWet[channel].write(to[channel], frames);
            fStated.fill(static_cast<float>(delay + 1), frames);
        } else if (lost) {
            lose(frames);
        } else {
            return;
        }
    }
}

/* So many samples do not come back any more. */
void Bridge::lose(uint64_t frames)
{
    for (DelayLine& line : fWet)
        line.fill(0.0f, frames);
    fStated.fill(-1.0f, frames);
}

/* Have the engine's samples that were sent `fAhead` samples ago in `fNow`; false if any is not there. */
bool Bridge::due(uint32_t frames, bool offline)
{
    const uint64_t missing = fDry[0].end() - fStated.end();
    for (int tries = 0; tries < 2; ++tries) {
        if (fAhead < missing)
            return false;
        fStated.read(fDelays.data(), frames, fAhead - missing);
        if (std::any_of(fDelays.begin(), fDelays.begin() + frames, [](float stated) { return stated < 0.0f; }))
            return false;
        const uint32_t delay = fDelays[frames - 1] > 0.0f ? static_cast<uint32_t>(fDelays[frames - 1]) - 1 : fDelay;
        if (delay == fDelay)
            break;
        follow(fReady.blocks * fBlock, delay, offline);
    }
    for (uint32_t channel = 0; channel < fChannels; ++channel)
        fWet[channel].read(fNow[channel].data(), frames, fAhead - missing);
    return true;
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
