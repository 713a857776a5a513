/* The last samples of the dry sound, read at any delay: what plays while the engine is away, and below a mix of less than one. */
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

namespace gramophone {

class DelayLine {
public:
    static constexpr uint32_t kSize = 1u << 19;

    DelayLine() : fPast(kSize, 0.0f) {}

    void clear()
    {
        std::fill(fPast.begin(), fPast.end(), 0.0f);
        fEnd = 0;
    }

    void write(const float* block, uint32_t frames)
    {
        for (uint32_t i = 0; i < frames; ++i)
            fPast[(fEnd + i) & (kSize - 1)] = block[i];
        fEnd += frames;
    }

    /* The `frames` samples that end `delay` samples before the newest. */
    void read(float* block, uint32_t frames, uint32_t delay) const
    {
        const uint64_t begin = fEnd - frames - std::min(delay, kSize - frames);
        for (uint32_t i = 0; i < frames; ++i)
            block[i] = fPast[(begin + i) & (kSize - 1)];
    }

private:
    std::vector<float> fPast;
    uint64_t fEnd = 0;
};

}  // namespace gramophone
