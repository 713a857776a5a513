/* A ring of numbered blocks in shared memory: one process writes, the other reads, nobody waits.

   The plug-in makes the memory and seals its size, so that no engine can take it away from the audio thread. The engine may be hostile or
   broken: what is read from the memory is used as data only, never as an offset. */
#pragma once

#include "protocol.hpp"

#include <climits>
#include <cstring>
#include <fcntl.h>
#include <linux/futex.h>
#include <new>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace gramophone {

/* Two channels of up to `kLongest` frames, and a number that goes with each frame. */
constexpr uint32_t kNoteRow = 2;
using Block = float[kNoteRow + 1][kLongest];

class Ring {
public:
    static constexpr int64_t kLongestDelay = 1 << 18;

    /* The system provides the memory now, and not while blocks are played. Throws std::bad_alloc. */
    explicit Ring(uint32_t channels)
        : fChannels(channels), fSize(sizeof(RingHead) + sizeof(float) * kSlots * channels * kLongest),
          fDescriptor(memfd_create("gramophone", MFD_CLOEXEC | MFD_ALLOW_SEALING))
    {
        const bool sealed = ftruncate(fDescriptor, static_cast<off_t>(fSize)) == 0
            && fcntl(fDescriptor, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0;
        void* memory = sealed ? mmap(nullptr, fSize, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fDescriptor, 0) : MAP_FAILED;
        if (memory == MAP_FAILED)
            throw std::bad_alloc();
        fHead = new (memory) RingHead {};
        fHead->newest = -1;
        for (std::atomic<int64_t>& number : fHead->numbers)
            number = -1;
    }

    Ring(const Ring&) = delete;

    ~Ring()
    {
        munmap(fHead, fSize);
        close(fDescriptor);
    }

    int descriptor() const { return fDescriptor; }

    /* Write block `number` of `frames` up to `kLongest`: the slot is withdrawn, filled, published. No system call unless the reader sleeps,
       and none that waits. */
    void write(int64_t number, const float* const* channels, uint32_t frames)
    {
        const uint32_t slot = slotOf(number);
        fHead->numbers[slot].store(-1, std::memory_order_relaxed);
        std::atomic_thread_fence(std::memory_order_release);
        for (uint32_t channel = 0; channel < fChannels; ++channel)
            std::memcpy(sound(slot, channel), channels[channel], frames * sizeof(float));
        fHead->frames[slot] = frames;
        fHead->delays[slot] = 0;
        fHead->numbers[slot].store(number, std::memory_order_release);
        fHead->newest.store(number, std::memory_order_release);
        fHead->woken.fetch_add(1);  // before `sleeps` is read; the reader sets that before it looks at `woken` for the last time
        if (fHead->sleeps.load() != 0)
            syscall(SYS_futex, &fHead->woken, FUTEX_WAKE, INT_MAX, nullptr, nullptr, 0);
    }

    /* Whether block `number`, or a later one, has been written. */
    bool passed(int64_t number) const { return fHead->newest.load(std::memory_order_acquire) >= number; }

    /* Copy block `number`; return the latency that it went through, or -1 if it is not (or no longer) there, or is not `frames` long. If it
       is not there, although it was passed, it never will be. */
    int64_t read(int64_t number, uint32_t frames, Block& into) const
    {
        const uint32_t slot = slotOf(number);
        const std::atomic<int64_t>& there = fHead->numbers[slot];
        if (there.load(std::memory_order_acquire) != number || fHead->frames[slot] != frames)
            return -1;
        for (uint32_t channel = 0; channel < fChannels; ++channel)
            std::memcpy(into[channel], sound(slot, channel), frames * sizeof(float));
        const int64_t delay = fHead->delays[slot];
        std::atomic_thread_fence(std::memory_order_acquire);
        return there.load(std::memory_order_relaxed) == number && delay >= 0 && delay <= kLongestDelay ? delay : -1;
    }

private:
    static uint32_t slotOf(int64_t number) { return static_cast<uint32_t>(number % kSlots); }

    float* sound(uint32_t slot, uint32_t channel) const { return reinterpret_cast<float*>(fHead + 1) + (slot * fChannels + channel) * kLongest; }

    const uint32_t fChannels;
    const size_t fSize;
    const int fDescriptor;
    RingHead* fHead;
};

}  // namespace gramophone
