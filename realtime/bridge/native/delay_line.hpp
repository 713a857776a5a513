/* The last samples of a signal, read at any delay. */
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

namespace gramophone {

class DelayLine {
public:
    static constexpr uint32_t kSize = 1u << 19;

    DelayLine() : fPast(kSize, 0.0f) {}

    /* Begin after zeros. */
    void clear()
    {
        std::fill(fPast.begin(), fPast.end(), 0.0f);
        fEnd = 0;
    }

    /* How many samples were written since the beginning. */
    uint64_t end() const { return fEnd; }

    void write(const float* block, uint64_t frames)
    {
        for (uint64_t i = 0; i < frames; ++i)
            fPast[(fEnd + i) & (kSize - 1)] = block[i];
        fEnd += frames;
    }

    void fill(float value, uint64_t frames)
    {
        for (uint64_t i = frames - std::min<uint64_t>(frames, kSize); i < frames; ++i)
            fPast[(fEnd + i) & (kSize - 1)] = value;
        fEnd += frames;
    }

    /* The `frames` samples that end `delay` samples before the newest. */
    void read(float* block, uint32_t frames, uint64_t delay) const
    {
        const uint64_t begin = fEnd - frames - std::min<uint64_t>(delay, kSize - frames);
        for (uint32_t i = 0; i < frames; ++i)
            block[i] = fPast[(begin + i) & (kSize - 1)];
    }

private:
    std::vector<float> fPast;
    uint64_t fEnd = 0;
};

}  // namespace gramophone
