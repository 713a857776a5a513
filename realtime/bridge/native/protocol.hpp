/* The protocol between the plug-in and its engine process, version 4; docs/bridge.md describes it for other clients.

   The engine process has one end of a Unix stream socket as descriptor 3, the ring of blocks to the engine as 4, that of blocks from there
   as 5. Both sides send frames: type and size (uint32 each), then the payload. The plug-in begins with a hello. Little-endian. */
#pragma once

#include <atomic>
#include <cstdint>

namespace gramophone {

constexpr uint32_t kMagic = 0x4d415247;  // "GRAM"
constexpr uint32_t kVersion = 4;
constexpr uint32_t kParameters = 16;  // that the host sets: bypass, mix, preset, eight macros, five free ones
constexpr uint32_t kLargestPayload = 16u << 20;
constexpr uint32_t kSlots = 256, kLongest = 4096;  // blocks in a ring, and the longest in frames

/* A ring of numbered blocks: this head, then float32 samples `[kSlots][channels][kLongest]`. `newest` is the number of the block written
   last, -1 before the first. Of slot `number % kSlots`: `numbers` holds the block's number (-1 while it is being written), `frames` its
   length, `delays` the latency of what it went through in samples. Who wants the reader to look changes `woken`, and wakes it (futex)
   where it has set `sleeps`. */
struct RingHead {
    alignas(64) std::atomic<uint32_t> woken, sleeps;
    alignas(64) std::atomic<int64_t> newest;
    alignas(64) std::atomic<int64_t> numbers[kSlots];
    alignas(64) int64_t frames[kSlots];
    alignas(64) int64_t delays[kSlots];
};

/* Types of frames. Below `kLabel` the payload is a float64: parameters have their index as type, and a few numbers more. */
enum FrameType : uint32_t {
    kOffline = 16,  // plug-in: whether the host bounces
    kPage = 17,     // engine: the port of its control page, shown as a parameter
    kTempo = 18,    // plug-in: of the host, in beats a minute
    kRate = 19,     // plug-in: in Hz
    kBlock = 20,    // plug-in: the longest block of the host in frames
    kBounce = 21,   // plug-in: 1: the next block begins a bounce, after silence; 2: the next one with sound does; 0: it is over
    kDone = 22,     // plug-in: after all that it has set at once; engine: that is in effect for the next block, it plays
    kBlocks = 23,   // engine: blocks of time that it has for a block: what comes back is so many blocks later
    kDelay = 24,    // engine: the latency of the chain in samples; `kBlocks` comes before, and both before the first `kDone`
    kSave = 25,     // plug-in: the engine is to send `kState` before its `kDone`
    kLabel = 32,    // engine: what parameter `type - kLabel` stands for, UTF-8
    kState = 64,    // plug-in, engine: what the project keeps, a text that only the engine reads
    kMessage = 65,  // engine: a sentence for people, UTF-8
    kHello = 66,    // plug-in: uint32 each of kMagic, kVersion, channels, 0
};

static_assert(sizeof(RingHead) == 6336, "the layout is part of the protocol");
static_assert(std::atomic<int64_t>::is_always_lock_free, "another process sees the numbers themselves");

}  // namespace gramophone
