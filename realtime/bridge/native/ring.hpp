/* A ring of numbered blocks in shared memory: one process writes, the other reads, nobody waits.

   The peer may be hostile or broken: the layout is checked once against the real size of the memory and then kept in private
   memory; whatever is read from the shared part afterwards is used as data only, never as an offset. */
#pragma once

#include "protocol.hpp"

#include <cstring>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace gramophone {

class Ring {
public:
    Ring() = default;
    Ring(const Ring&) = delete;
    Ring& operator=(const Ring&) = delete;
    ~Ring() { close(); }

    /* Map `descriptor`, which is closed in any case; false if the layout does not fit the memory or has other channels. */
    bool open(int descriptor, const RingLayout& layout, uint32_t channels)
    {
        close();
        struct stat about {};
        const bool good = fstat(descriptor, &about) == 0 && layout.channels == channels
            && fits(layout, static_cast<uint64_t>(about.st_size));
        void* memory = good ? mmap(nullptr, layout.size, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0) : MAP_FAILED;
        ::close(descriptor);
        if (memory == MAP_FAILED)
            return false;
        fMemory = static_cast<uint8_t*>(memory);
        fLayout = layout;
        return true;
    }

    void close()
    {
        if (fMemory != nullptr)
            munmap(fMemory, fLayout.size);
        fMemory = nullptr;
    }

    uint32_t longest() const { return fLayout.longest; }

    /* Write block `number`: the slot is withdrawn, filled, published. */
    void write(int64_t number, const float* const* channels, uint32_t frames)
    {
        const uint32_t slot = static_cast<uint32_t>(number % fLayout.slots);
        __atomic_store_n(at(fLayout.numbers, slot), int64_t{-1}, __ATOMIC_RELEASE);
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
        for (uint32_t channel = 0; channel < fLayout.channels; ++channel)
            std::memcpy(sound(slot, channel), channels[channel], frames * sizeof(float));
        *at(fLayout.frames, slot) = frames;
        *at(fLayout.delays, slot) = 0;
        __atomic_store_n(at(fLayout.numbers, slot), number, __ATOMIC_RELEASE);
        __atomic_store_n(at(fLayout.newest, 0), number, __ATOMIC_RELEASE);
    }

    /* Whether block `number`, or a later one, has been written. */
    bool passed(int64_t number) const { return __atomic_load_n(at(fLayout.newest, 0), __ATOMIC_ACQUIRE) >= number; }

    /* Whether block `number` is there. If it is not, although it was passed, it never will be. */
    bool has(int64_t number) const
    {
        return __atomic_load_n(at(fLayout.numbers, static_cast<uint32_t>(number % fLayout.slots)), __ATOMIC_ACQUIRE) == number;
    }

    /* Copy block `number`, and its latency; false if it is not (or no longer) there, or is not `frames` long. */
    bool read(int64_t number, uint32_t frames, float* const* channels, uint32_t& delay) const
    {
        const uint32_t slot = static_cast<uint32_t>(number % fLayout.slots);
        if (!has(number) || frames > fLayout.longest || *at(fLayout.frames, slot) != frames)
            return false;
        for (uint32_t channel = 0; channel < fLayout.channels; ++channel)
            std::memcpy(channels[channel], sound(slot, channel), frames * sizeof(float));
        const int64_t stated = *at(fLayout.delays, slot);
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
        if (!has(number) || stated < 0 || stated > kLongestDelay)
            return false;
        delay = static_cast<uint32_t>(stated);
        return true;
    }

    static constexpr int64_t kLongestDelay = 1 << 18;

private:
    static bool fits(const RingLayout& layout, uint64_t size)
    {
        const uint64_t slots = layout.slots, words = slots * sizeof(int64_t);
        if (slots < 2 || slots > 1u << 16 || layout.longest < 1 || layout.longest > 1u << 16)
            return false;
        const uint64_t samples = slots * layout.channels * layout.longest * sizeof(float);
        const auto inside = [&](uint64_t offset, uint64_t length) {
            return offset % sizeof(int64_t) == 0 && offset <= layout.size && length <= layout.size - offset;
        };
        return layout.size <= size && inside(layout.newest, sizeof(int64_t)) && inside(layout.numbers, words)
            && inside(layout.frames, words) && inside(layout.delays, words) && inside(layout.sound, samples);
    }

    int64_t* at(uint64_t offset, uint32_t index) const { return reinterpret_cast<int64_t*>(fMemory + offset) + index; }

    float* sound(uint32_t slot, uint32_t channel) const
    {
        const uint64_t row = static_cast<uint64_t>(slot) * fLayout.channels + channel;
        return reinterpret_cast<float*>(fMemory + fLayout.sound) + row * fLayout.longest;
    }

    uint8_t* fMemory = nullptr;
    RingLayout fLayout {};
};

}  // namespace gramophone
