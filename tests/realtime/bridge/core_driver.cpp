/* Plays blocks through the plug-in's core without a host: for valgrind, for what an engine can do to it, and for hosts that are killed.
   Arguments: how many blocks; a second one: `tell` to print `plays` once an engine does, or `bounce` to bounce, with three seconds' patience
   for a block, and to print a sample after every 100 blocks, when it begins anew. */
#include "bridge.hpp"

#include <cstring>

int main(int count, char** words)
{
    const int rounds = count > 1 ? std::atoi(words[1]) : 300;
    const bool bounces = count > 2 && std::strcmp(words[2], "bounce") == 0;
    bool dry = true, tells = count > 2 && !bounces;
    gramophone::Bridge bridge(2, 3.0);
    bridge.link.setParameter(gramophone::kOffline, bounces);
    bridge.setBlock(256);
    bridge.activate(48000.0);
    float left[256], right[256];
    for (int round = 0; round < rounds; ++round) {
        for (int i = 0; i < 256; ++i)
            left[i] = right[i] = 0.25f;
        float* const channels[2] {left, right};
        const uint32_t frames = 1 + static_cast<uint32_t>(round * 37 % 256);
        bridge.link.setParameter(3, 0.001f * static_cast<float>(round));
        bridge.play(channels, channels, frames);
        for (uint32_t i = 0; i < frames; ++i)
            dry = dry && std::isfinite(left[i]);
        if (tells && bridge.link.alive()) {
            std::puts("plays");
            std::fflush(stdout);
            tells = false;
        }
        if (round % 100 == 99) {
            if (bounces)
                std::printf("%.2f\n", left[0]);
            bridge.activate(48000.0 + round);
        }
        usleep(2000);
    }
    std::puts(dry && bridge.latency() < (1u << 19) ? "sound" : "no sound");
    return 0;
}
