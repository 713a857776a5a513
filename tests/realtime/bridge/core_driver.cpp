/* Plays blocks through the plug-in's core without a host: for valgrind, for what an engine can do to it, and for hosts that are killed.
   Arguments: how many blocks; a second one: print `plays` once an engine does. */
#include "bridge.hpp"

#include <cmath>
#include <cstdio>
#include <cstdlib>

int main(int count, char** words)
{
    const int rounds = count > 1 ? std::atoi(words[1]) : 300;
    gramophone::Bridge bridge(2);
    bridge.setBlock(256);
    bridge.activate(48000.0, false);
    float left[256], right[256];
    bool dry = true, tells = count > 2;
    for (int round = 0; round < rounds; ++round) {
        for (int i = 0; i < 256; ++i)
            left[i] = right[i] = 0.25f;
        float* const channels[2] {left, right};
        const uint32_t frames = 1 + static_cast<uint32_t>(round * 37 % 256);
        bridge.link.setParameter(3, 0.001f * static_cast<float>(round));
        bridge.play(channels, channels, frames, false);
        for (uint32_t i = 0; i < frames; ++i)
            dry = dry && std::isfinite(left[i]);
        if (tells && bridge.link.alive()) {
            std::puts("plays");
            std::fflush(stdout);
            tells = false;
        }
        if (round % 100 == 99)
            bridge.activate(48000.0 + round, false);
        usleep(2000);
    }
    std::puts(dry && bridge.latency() < (1u << 19) ? "sound" : "no sound");
    return 0;
}
