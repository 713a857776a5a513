/* The last samples of a block's rows, read at any delay. */
#pragma once

#include "ring.hpp"

#include <algorithm>
#include <memory>

namespace gramophone {

class DelayLine {
public:
    static constexpr uint32_t kSize = 1u << 19;

    explicit DelayLine(uint32_t rows) : fRows(rows), fPast(std::make_unique<float[]>(rows * kSize)) {}

    /* Begin after zeros. */
    void clear()
    {
        std::fill_n(past(0), fRows * kSize, 0.0f);
        fEnd = 0;
    }

    /* How many samples were written since the beginning. */
    uint64_t end() const { return fEnd; }

    void write(const float* const* rows, uint32_t frames)
    {
        const uint32_t first = beforeWrap(fEnd, frames);
        for (uint32_t row = 0; row < fRows; ++row) {
            std::copy_n(rows[row], first, past(row) + fEnd % kSize);
            std::copy_n(rows[row] + first, frames - first, past(row));
        }
        fEnd += frames;
    }

    /* Copy the `frames` samples that end `delay` samples before the newest. */
    void read(Block& rows, uint32_t frames, uint64_t delay) const
    {
        const uint64_t begin = fEnd - frames - std::min<uint64_t>(delay, kSize - frames);
        const uint32_t first = beforeWrap(begin, frames);
        for (uint32_t row = 0; row < fRows; ++row) {
            std::copy_n(past(row) + begin % kSize, first, rows[row]);
            std::copy_n(past(row), frames - first, rows[row] + first);
        }
    }

private:
    static uint32_t beforeWrap(uint64_t place, uint32_t frames) { return std::min(frames, kSize - static_cast<uint32_t>(place % kSize)); }

    float* past(uint32_t row) const { return fPast.get() + row * kSize; }

    const uint32_t fRows;
    std::unique_ptr<float[]> fPast;
    uint64_t fEnd = 0;
};

}  // namespace gramophone
