/* Plays noise through the plug-in's core in real time, until so many blocks have been processed or so many seconds are over, and prints
   what each block cost its thread. Arguments: processed blocks, seconds, frames, preset.

   A row for each block: us of its thread, whether it was processed, seconds since the start, the latency in samples, and us of the same
   thread to wake another that sleeps, by the same system call and nothing else. */
#include "bridge.hpp"

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <vector>

namespace {

double seconds(clockid_t clock)
{
    timespec now;
    clock_gettime(clock, &now);
    return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

/* A thread that sleeps until it is woken, and again. */
class Sleeper {
public:
    Sleeper() : fThread([this] { sleep(); }) {}

    ~Sleeper()
    {
        fEnds = true;
        wake();
        fThread.join();
    }

    void wake()
    {
        ++fCount;
        syscall(SYS_futex, &fCount, FUTEX_WAKE, 1, nullptr, nullptr, 0);
    }

private:
    void sleep()
    {
        while (!fEnds) {
            const uint32_t seen = fCount;
            if (!fEnds)
                syscall(SYS_futex, &fCount, FUTEX_WAIT, seen, nullptr, nullptr, 0);
        }
    }

    std::atomic<uint32_t> fCount {0};
    std::atomic<bool> fEnds {false};
    std::thread fThread;
};

}  // namespace

int main(int, char** words)
{
    const int wanted = std::atoi(words[1]);
    const double longest = std::atof(words[2]), rate = 48000.0, began = seconds(CLOCK_MONOTONIC);
    const uint32_t frames = static_cast<uint32_t>(std::atoi(words[3]));
    Sleeper sleeper;
    gramophone::Bridge bridge(2);
    bridge.link.setParameter(gramophone::kPreset, std::atof(words[4]));
    bridge.setBlock(frames);
    bridge.activate(rate);
    std::vector<float> past, left(frames), right(frames);
    double due = seconds(CLOCK_MONOTONIC);
    for (int processed = 0; processed < wanted && seconds(CLOCK_MONOTONIC) - began < longest;) {
        for (uint32_t i = 0; i < frames; ++i)
            left[i] = right[i] = 0.2f * static_cast<float>(std::rand()) / static_cast<float>(RAND_MAX) - 0.1f;
        past.insert(past.end(), left.begin(), left.end());
        float* const sound[2] {left.data(), right.data()};
        const double before = seconds(CLOCK_THREAD_CPUTIME_ID);
        bridge.play(sound, sound, frames);
        const double between = seconds(CLOCK_THREAD_CPUTIME_ID);
        sleeper.wake();
        const double after = seconds(CLOCK_THREAD_CPUTIME_ID);
        float change = 0.0f;
        for (uint32_t i = 0; i < frames && past.size() >= bridge.latency() + frames; ++i)
            change = std::max(change, std::fabs(left[i] - past[past.size() - frames - bridge.latency() + i]));
        processed += change > 1e-4f;
        const double time = seconds(CLOCK_MONOTONIC) - began;
        std::printf("%.3f %d %.3f %u %.3f\n", 1e6 * (between - before), change > 1e-4f, time, bridge.latency(), 1e6 * (after - between));
        due += frames / rate;
        const double left_s = due - seconds(CLOCK_MONOTONIC);
        if (left_s > 0.0)
            usleep(static_cast<useconds_t>(1e6 * left_s));
    }
    return 0;
}
