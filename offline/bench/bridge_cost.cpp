/* Plays noise through the plug-in's core in real time, and prints what each block cost its thread. Arguments: blocks, frames, preset. */
#include "bridge.hpp"

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <ctime>

namespace {

double seconds(clockid_t clock)
{
    timespec now;
    clock_gettime(clock, &now);
    return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

}  // namespace

int main(int, char** words)
{
    const int blocks = std::atoi(words[1]);
    const uint32_t frames = static_cast<uint32_t>(std::atoi(words[2]));
    const double rate = 48000.0, began = seconds(CLOCK_MONOTONIC);
    gramophone::Bridge bridge(2);
    bridge.link.setParameter(gramophone::kPreset, static_cast<float>(std::atoi(words[3])));
    bridge.setBlock(frames);
    bridge.activate(rate, false);
    std::vector<float> past, left(frames), right(frames);
    double due = seconds(CLOCK_MONOTONIC);
    for (int block = 0; block < blocks; ++block) {
        for (uint32_t i = 0; i < frames; ++i)
            left[i] = right[i] = 0.2f * static_cast<float>(std::rand()) / static_cast<float>(RAND_MAX) - 0.1f;
        past.insert(past.end(), left.begin(), left.end());
        float* const sound[2] {left.data(), right.data()};
        const double before = seconds(CLOCK_THREAD_CPUTIME_ID);
        bridge.play(sound, sound, frames, false);
        const double cost = seconds(CLOCK_THREAD_CPUTIME_ID) - before;
        float change = 0.0f;
        for (uint32_t i = 0; i < frames && past.size() >= bridge.latency() + frames; ++i)
            change = std::max(change, std::fabs(left[i] - past[past.size() - frames - bridge.latency() + i]));
        std::printf("%.3f %d %.3f %u\n", 1e6 * cost, change > 1e-4f, seconds(CLOCK_MONOTONIC) - began, bridge.latency());
        due += frames / rate;
        const double left_s = due - seconds(CLOCK_MONOTONIC);
        if (left_s > 0.0)
            usleep(static_cast<useconds_t>(1e6 * left_s));
    }
    return 0;
}
