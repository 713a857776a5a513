/* Blocks of any length go to the engine, and what comes back is put together again, in its order and without a gap. */
#pragma once

#include "delay_line.hpp"

namespace gramophone {

class BlockExchange {
public:
    static constexpr int64_t kSilent = -1, kLost = -2;
    static constexpr int64_t kMostUnderWay = kSlots / 2;  // blocks of a host that waits

    explicit BlockExchange(uint32_t channels) : input(channels), output(channels) {}

    /* Begin after zeros: what was sent before is not taken any more. */
    void clear()
    {
        fBack.clear();
        fSamples = 0;
        fExpected = fNumber;
    }

    /* Send a block of up to `kLongest` frames. */
    void send(const float* const* in, uint32_t frames)
    {
        fLengths[fNumber % kSlots] = frames;
        input.write(fNumber++, in, frames);
        fSamples += frames;
    }

    /* Take what has come back; whether that is all but the newest `ahead` samples, or a part of it never will, and there is room to go on. */
    bool hasCome(uint64_t ahead)
    {
        collect();
        return fSamples - fBack.end() <= ahead && fNumber - fExpected <= kMostUnderWay;
    }

    /* Take what has come back. */
    void collect()
    {
        for (; fExpected < fNumber; ++fExpected) {
            const uint32_t frames = fLengths[fExpected % kSlots];
            const bool lost = output.passed(fExpected) || fNumber - fExpected >= kSlots;  // asked first: it may just come
            const int64_t delay = output.read(fExpected, frames, fPart);
            if (delay < 0 && !lost)
                return;
            std::fill_n(fPart[kNoteRow], frames, static_cast<float>(delay < 0 ? -1 : delay + 1));  // 0: from before the beginning
            const float* const rows[] {fPart[0], fPart[1], fPart[kNoteRow]};
            fBack.write(rows, frames);
        }
    }

    /* Copy the samples that were sent `ahead` samples before the last `frames`; return the latency that the last of them went through.
       Where some are not there it is kLost; of what was sent before the beginning it is kSilent. */
    int64_t read(Block& out, uint32_t frames, uint64_t ahead) const
    {
        const uint64_t missing = fSamples - fBack.end();
        if (ahead < missing)
            return kLost;
        fBack.read(out, frames, ahead - missing);
        const float* const stated = out[kNoteRow];
        const bool lost = std::any_of(stated, stated + frames, [](float each) { return each < 0.0f; });
        return lost ? kLost : static_cast<int64_t>(stated[frames - 1]) - 1;
    }

    Ring input, output;

private:
    Block fPart {};                      // while it is copied
    DelayLine fBack {kNoteRow + 1};      // with each frame's latency and 1; -1 where it is lost
    uint32_t fLengths[kSlots] {};        // of the blocks that were sent last, by number
    uint64_t fSamples = 0;               // sent since the beginning
    int64_t fNumber = 0, fExpected = 0;  // of the next block to send, and of the next to come back
};

}  // namespace gramophone
