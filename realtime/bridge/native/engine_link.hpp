/* The link to the engine: what the host has set goes there, what the engine reports comes back; one that dies is replaced.

   All of that happens in a thread of its own, which the audio thread never waits for but while the host bounces. */
#pragma once

#include "frame_socket.hpp"
#include "ring.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <condition_variable>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <mutex>
#include <poll.h>
#include <spawn.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <thread>
#include <utility>

namespace gramophone {

/* Where a file of the user's configuration of Gramophone is. */
inline std::filesystem::path configurationFile(const char* name)
{
    const char* place = std::getenv("XDG_CONFIG_HOME");
    const char* home = std::getenv("HOME");
    const bool stated = place != nullptr && *place != '\0';
    return (stated ? std::filesystem::path(place) : std::filesystem::path(home != nullptr ? home : "") / ".config") / "gramophone" / name;
}

/* What the engine needs: the latency of its chain in samples, and its time in blocks. */
struct Ready {
    uint32_t delay = 0, blocks = 1;
    bool operator!=(const Ready& other) const { return delay != other.delay || blocks != other.blocks; }
};

class EngineLink {
public:
    /* `descriptors` of the rings: of blocks to the engine, and of those from there. */
    EngineLink(uint32_t channels, const std::array<int, 2>& descriptors) : fChannels(channels), fRings(descriptors) {}

    ~EngineLink()
    {
        std::unique_lock<std::mutex> lock(fLock);
        fStopping = true;
        fProgress.notify_all();
        lock.unlock();
        eventfd_write(fSignal, 1);
        if (fThread.joinable())
            fThread.join();
        close(fSignal);
    }

    /* Any thread but the audio thread. The first format starts an engine. */
    void setFormat(double rate, uint32_t block)
    {
        if ((fNumbers[kRate].exchange(rate) != rate) | (fNumbers[kBlock].exchange(block) != block))
            change(1u << kRate | 1u << kBlock);
        const std::lock_guard<std::mutex> lock(fLock);
        if (!fRunning)
            expect();
        if (!fThread.joinable())
            fThread = std::thread([this] { run(); });
    }

    void setState(const std::string& state)
    {
        const std::lock_guard<std::mutex> lock(fLock);
        fTexts[kState] = state;
        change(kStateBit);
        expect();
    }

    /* What the project is to keep: an engine that plays is asked for it. */
    std::string state()
    {
        if (fRunning) {
            change(1u << kSave);
            waitUntilSet(kSaveS, 1u << kSave);
        }
        return text(kState);
    }

    /* A text by the type of its frame: what a parameter stands for; of `kPage` the page's address, or what is wrong. */
    std::string text(uint32_t type) const
    {
        const std::lock_guard<std::mutex> lock(fLock);
        return fTexts[type];
    }

    /* Show a sentence, and write it to the host's log, unless it is shown already. */
    void say(const std::string& message)
    {
        std::unique_lock<std::mutex> lock(fLock);
        const bool shown = std::exchange(fTexts[kLabel + kPage], message) == message;
        lock.unlock();
        if (!shown)
            std::fprintf(stderr, "gramophone: %s\n", message.c_str());
    }

    /* Wait until an engine plays with what was set (a bit for each number), `seconds` at the most, and not where none can come; return
       whether one does. The audio thread may call this while the host bounces. */
    bool waitUntilSet(double seconds, uint32_t bits = ~0u)
    {
        std::unique_lock<std::mutex> lock(fLock);
        const auto isSet = [&] { return fRunning && !isPending(bits); };
        fProgress.wait_for(lock, Seconds(seconds), [&] { return isSet() || fHopeless; });
        return isSet();
    }

    /* Audio thread: never blocks. A parameter is one of the host's, or one of the numbers that the plug-in sends. */
    void setParameter(uint32_t index, double value)
    {
        const bool known = index <= kOffline || index == kTempo || index == kBounce;
        if (!known || !std::isfinite(value) || fNumbers[index].exchange(value) == value)
            return;
        fTouched |= 1u << index;
        change(1u << index);
    }

    bool alive() const { return fRunning; }
    float parameter(uint32_t index) const { return static_cast<float>(fNumbers[index].load()); }
    uint32_t takeMoved() { return fMoved.exchange(0); }  // a bit for each parameter that the engine has set since the last call
    Ready ready() const { return fReady; }
    bool expects() const { return fExpects; }  // whether that is what the project says, whose chain is still to come

private:
    using Clock = std::chrono::steady_clock;
    using Seconds = std::chrono::duration<double>;

    static constexpr double kSaveS = 1.0;    // that who saves waits for an engine
    static constexpr double kComeS = 120.0;  // until an engine must play: the first on a machine compiles
    static constexpr double kPauseS = 0.5, kLongestPauseS = 10.0;  // before another one: more for each in a row that never played
    static constexpr int kMostFailures = 3;  // of these until nobody waits for one any more
    static constexpr uint32_t kMostBlocks = 64;
    static constexpr size_t kLongestLabel = 120;
    static constexpr uint32_t kStateBit = 1u << 31;  // beside those of the numbers, of what has to be sent

    bool isPending(uint32_t bits) const { return ((fChanges | fUnderWay) & bits) != 0; }

    /* Let the thread send what has changed. */
    void change(uint32_t bits)
    {
        if (fChanges.fetch_or(bits) == 0)
            eventfd_write(fSignal, 1);
    }

    /* The nearest that can be: whoever states it is not trusted. */
    static Ready within(double delay, double blocks)
    {
        return {uint32_t(std::clamp<double>(delay, 0, Ring::kLongestDelay)), uint32_t(std::clamp<double>(blocks, 1, kMostBlocks))};
    }

    /* Take the latency from the project's state, if that was stored at this rate and block length: a host that learns it late may export
       what is in line, but begins late (Ardour). */
    void expect()
    {
        unsigned rate, block, delay, blocks;
        const int found = std::sscanf(fTexts[kState].c_str(), "%9u/%9u/%9u/%9u/", &rate, &block, &delay, &blocks);
        fExpects = found == 4 && rate == std::round(fNumbers[kRate]) && block == fNumbers[kBlock];
        if (fExpects)
            fReady = within(delay, blocks);
    }

    /* Say why no engine can come before a person has done something: nobody need wait for one. */
    void giveUp(const std::string& message)
    {
        say(message + "; the sound stays dry");
        const std::lock_guard<std::mutex> lock(fLock);
        fHopeless = true;
        fProgress.notify_all();
    }

    void run()
    {
        sigset_t all;
        sigfillset(&all);
        pthread_sigmask(SIG_BLOCK, &all, nullptr);  // the host's signals are for its own threads
        for (int failures = 0; !fStopping;) {
            const std::array<int, 2> sockets = openSockets();
            fSocket = sockets[0];
            const bool started = startEngine({sockets[1], fRings[0], fRings[1]});
            close(sockets[1]);
            if (started)
                serve();
            else
                giveUp("no engine of this user can be started: run `gramophone bridge install`");
            close(fSocket);  // by which it ends
            failures = fRunning.exchange(false) ? 0 : failures + 1;
            if (started && failures == kMostFailures)
                giveUp("engines end before they play: `gramophone bridge install` again may help, `gramophone doctor` looks for the reason");
            std::unique_lock<std::mutex> lock(fLock);
            fProgress.wait_for(lock, Seconds(std::min(kPauseS * (1 + failures), kLongestPauseS)), [this] { return fStopping.load(); });
        }
    }

    /* Run the script that `gramophone bridge install` has written, with `descriptors` as its numbers 3, 4 and 5: it starts the engine and
       ends at once. Return whether it could. */
    static bool startEngine(std::array<int, 3> descriptors)
    {
        for (int& descriptor : descriptors)
            descriptor = fcntl(descriptor, F_DUPFD_CLOEXEC, 6);  // else a number that is given could be that of the next
        std::string script = configurationFile("bridge.command");
        char shell[] = "/bin/sh";
        char* const words[] {shell, script.data(), nullptr};
        posix_spawn_file_actions_t actions;
        posix_spawn_file_actions_init(&actions);
        for (size_t i = 0; i < descriptors.size(); ++i)
            posix_spawn_file_actions_adddup2(&actions, descriptors[i], static_cast<int>(3 + i));
        pid_t process;
        int status = posix_spawn(&process, shell, &actions, nullptr, words, environ);
        posix_spawn_file_actions_destroy(&actions);
        for (const int descriptor : descriptors)
            close(descriptor);
        if (status == 0)
            waitpid(process, &status, 0);  // it remains 0 where the host lets the system forget its children
        return status == 0;
    }

    /* Exchange frames until the engine or the plug-in goes. */
    void serve()
    {
        fUnderWay = 0;
        change(1u << kRate | 1u << kBlock | kStateBit | fTouched);
        const uint32_t hello[] {kMagic, kVersion, fChannels, 0};
        sendFrame(fSocket, kHello, hello, sizeof(hello));
        for (const auto late = Clock::now() + Seconds(kComeS); !fStopping && sendChanges();) {
            pollfd wanted[2] {{fSocket, POLLIN, 0}, {fSignal, POLLIN, 0}};
            poll(wanted, 2, 1000);
            eventfd_t count;
            eventfd_read(fSignal, &count);
            if (wanted[0].revents != 0 && !receive()) {
                if (fRunning)
                    say("the engine is gone; the sound is dry until another has started");
                return;
            }
            if (!fRunning && Clock::now() > late)
                return giveUp("the engine does not answer");
        }
    }

    /* Send what has changed as one batch, unless another is under way: who is slow is not sent more than can be taken. */
    bool sendChanges()
    {
        std::unique_lock<std::mutex> lock(fLock);
        if (fUnderWay != 0 || fChanges == 0)
            return true;
        const uint32_t changes = fUnderWay = fChanges.exchange(0);  // under the lock: to `waitUntilSet` it is pending all the time
        const std::string state = (changes & kStateBit) != 0 ? fTexts[kState] : "";
        lock.unlock();
        bool sent = state.empty() || sendFrame(fSocket, kState, state.data(), state.size());
        for (uint32_t type = 0; sent && type <= kSave; ++type)
            sent = (changes >> type & 1u) == 0 || sendNumber(type, fNumbers[type]);
        return sent && sendNumber(kDone, 0.0);
    }

    bool sendNumber(uint32_t type, double number) { return sendFrame(fSocket, type, &number, sizeof(number)); }

    /* Receive a frame. Unknown types are later additions, and not for us. */
    bool receive()
    {
        uint32_t type;
        std::string payload;
        double number;
        if (!receiveFrame(fSocket, type, payload))
            return false;
        if (type < kLabel && payload.copy(reinterpret_cast<char*>(&number), sizeof(number)) == sizeof(number) && std::isfinite(number))
            takeNumber(type, number);
        else if (type == kMessage)
            say(payload);
        const bool label = type >= kLabel && type <= kLabel + kPage;
        if (label || (type == kState && !isPending(kStateBit))) {  // an engine that does not know the project's state yet has none for it
            const std::lock_guard<std::mutex> lock(fLock);
            fTexts[type] = label ? payload.substr(0, kLongestLabel) : payload;
        }
        return true;
    }

    void takeNumber(uint32_t type, double number)
    {
        const std::lock_guard<std::mutex> lock(fLock);
        if (type == kDone) {
            fUnderWay = 0;
            fRunning = true;
            fHopeless = false;
            fExpects = fExpects && isPending(kStateBit);
        } else if (type == kDelay) {
            fReported = within(number, fNumbers[kBlocks]);
        } else if (type == kBlocks) {
            fNumbers[type] = number;
        } else if (type <= kPage && std::isfinite(static_cast<float>(number)) && !isPending(1u << type)) {  // else the host has set it since
            fNumbers[type] = number;
            fMoved |= 1u << type;
        }
        if (!fExpects)
            fReady = fReported;
        fProgress.notify_all();
    }

    const uint32_t fChannels;
    const std::array<int, 2> fRings;
    const int fSignal = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);  // wakes the thread
    int fSocket = -1;
    std::thread fThread;
    std::atomic<bool> fStopping {false}, fRunning {false};

    std::atomic<double> fNumbers[kSave + 1] {};
    std::atomic<uint32_t> fChanges {0};   // what is to be sent next
    std::atomic<uint32_t> fUnderWay {0};  // what was sent, and is not in effect yet
    std::atomic<uint32_t> fTouched {0};   // what the host has set at any time
    std::atomic<uint32_t> fMoved {0};
    std::atomic<Ready> fReady {Ready {}};
    std::atomic<bool> fExpects {false};   // `fReady` is what the project says, until the engine has its state

    mutable std::mutex fLock;  // guards what follows
    std::condition_variable fProgress;
    std::string fTexts[kState + 1];
    Ready fReported;         // by the engine
    bool fHopeless = false;
};

}  // namespace gramophone
