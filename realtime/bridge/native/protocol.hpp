/* The protocol between the plug-in and its engine process, version 2; docs/bridge.md describes it for other clients.

   The plug-in starts the engine process with one end of a Unix stream socket. Both sides send frames: a `FrameHeader` and a payload.
   The plug-in begins with its format, its state, what the host has set, and the transport. The engine answers with a `Hello`, to
   whose header three descriptors are attached (SCM_RIGHTS): the shared memory of blocks from the plug-in, that of blocks to the
   plug-in, and a stream socket; a byte to it wakes the engine. All numbers are little-endian. */
#pragma once

#include <cstdint>

namespace gramophone {

constexpr uint32_t kMagic = 0x4d415247;  // "GRAM"
constexpr uint32_t kVersion = 2;
constexpr uint32_t kParameters = 16;  // that the host sets: bypass, mix, preset, eight macros, five free ones
constexpr uint32_t kPage = 17;        // set by the engine alone: the port of its control page
constexpr uint32_t kLargestPayload = 16u << 20;

/* A ring of numbered blocks. `newest` is the number of the block written last, -1 before the first. Of slot `number % slots`:
   `numbers` holds the block's number (-1 while it is being written), `frames` its length, `delays` the latency of what it went
   through in samples, `sound` float32 samples `[slots][channels][longest]`. Offsets are in bytes. */
struct RingLayout {
    uint64_t size;
    uint64_t newest, numbers, frames, delays, sound;
    uint32_t slots, channels, longest, reserved;
};

struct Hello {
    uint32_t magic, version;
    RingLayout input, output;
};

enum FrameType : uint32_t {
    kFormat = 1,      // plug-in: Format
    kParameter = 2,   // plug-in, engine: ParameterChange
    kState = 3,       // plug-in, engine: what the project keeps, a text that only the engine reads
    kTransport = 4,   // plug-in: Transport
    kMessage = 5,     // engine: a sentence for people, UTF-8
    kReady = 6,       // engine: Ready, again whenever one of the two has changed
    kDone = 7,        // plug-in: uint64 after all that it has set; engine: the same number once that is in effect for the next block
    kHello = 8,       // engine: Hello, with the descriptors
    kBegin = 9,       // plug-in: empty; the next block is the first of a bounce and comes after silence
    kLabel = 10,      // engine: uint32 index of a parameter, then what it stands for, UTF-8
};

struct FrameHeader {
    uint32_t type, size;
};

struct Format {
    double rate;               // Hz
    uint32_t block, channels;  // the longest block in frames; channels of the track
    uint32_t offline;          // 1 while the host bounces faster or slower than real time
    uint32_t reserved;
};

struct ParameterChange {
    uint32_t index;
    float value;
};

struct Transport {
    double tempo;  // beats a minute
    uint32_t playing, reserved;
};

struct Ready {
    uint32_t delay;   // the chain's latency in samples
    uint32_t blocks;  // blocks of time that the engine has for a block: what comes back is so many blocks later
};

static_assert(sizeof(RingLayout) == 64 && sizeof(Hello) == 136, "the layout is part of the protocol");
static_assert(sizeof(Format) == 24 && sizeof(ParameterChange) == 8 && sizeof(Transport) == 16 && sizeof(Ready) == 8, "so are these");

}  // namespace gramophone
