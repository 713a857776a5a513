#include "engine_link.hpp"
#include "ring.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <poll.h>
#include <spawn.h>
#include <sys/eventfd.h>
#include <sys/wait.h>

extern char** environ;

namespace gramophone {

namespace {

using Clock = std::chrono::steady_clock;
using Seconds = std::chrono::duration<double>;

constexpr auto kCome = std::chrono::seconds(120);  // until an engine must play: the first on a machine compiles
constexpr double kPauseS = 0.5;   // before another engine is started, once more for each in a row that ended before it played
constexpr int kMostPauses = 20;
constexpr int kMostFailures = 3;  // of these until nobody waits for one any more
constexpr uint32_t kMostBlocks = 64;
constexpr size_t kLongestLabel = 120;

/* The nearest that can be: whoever states it is not trusted. */
Ready within(const Ready& stated)
{
    const auto longest = static_cast<uint32_t>(Ring::kLongestDelay);
    return {std::min(stated.delay, longest), std::min(std::max(stated.blocks, 1u), kMostBlocks)};
}

/* Run the script that `gramophone bridge install` has written, with `descriptor` as its number 3: it starts the engine and ends at once.
   Return whether it could. */
bool startEngine(int descriptor)
{
    std::string script = configurationFile("bridge.command");
    char shell[] = "/bin/sh";
    char* const words[] {shell, script.data(), nullptr};
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, descriptor, 3);
    pid_t process;
    int status = 0;  // and remains so where the host lets the system forget its children
    const bool runs = posix_spawn(&process, shell, &actions, nullptr, words, environ) == 0;
    posix_spawn_file_actions_destroy(&actions);
    if (runs)
        waitpid(process, &status, 0);
    return runs && status == 0;
}

}  // namespace

std::filesystem::path configurationFile(const char* name)
{
    const char* place = std::getenv("XDG_CONFIG_HOME");
    const char* home = std::getenv("HOME");
    const bool stated = place != nullptr && *place != '\0';
    return (stated ? std::filesystem::path(place) : std::filesystem::path(home != nullptr ? home : "") / ".config") / "gramophone" / name;
}

EngineLink::EngineLink(uint32_t channels, const Descriptors& rings)
    : fHello {kMagic, kVersion, channels, 0}, fRings(rings), fSignal(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC))
{
}

EngineLink::~EngineLink()
{
    {
        const std::lock_guard<std::mutex> lock(fLock);
        fStopping = true;
        fProgress.notify_all();
    }
    eventfd_write(fSignal, 1);
    if (fThread.joinable())
        fThread.join();
    close(fSignal);
}

void EngineLink::setFormat(double rate, uint32_t block)
{
    const bool another = fNumbers[kRate].exchange(rate) != rate;
    if (fNumbers[kBlock].exchange(block) != block || another)
        change(1u << kRate | 1u << kBlock);
    {
        const std::lock_guard<std::mutex> lock(fLock);
        if (!fRunning)
            expect();
    }
    if (!fThread.joinable())
        fThread = std::thread([this] { run(); });
}

void EngineLink::setState(const std::string& state)
{
    const std::lock_guard<std::mutex> lock(fLock);
    fTexts[kState] = state;
    change(kStateBit);
    expect();
}

std::string EngineLink::text(uint32_t type) const
{
    const std::lock_guard<std::mutex> lock(fLock);
    const auto found = fTexts.find(type);
    return found == fTexts.end() ? "" : found->second;
}

bool EngineLink::waitUntilSet(double seconds)
{
    std::unique_lock<std::mutex> lock(fLock);
    const auto isSet = [this] { return fRunning && !isPending(~0u); };
    fProgress.wait_for(lock, Seconds(seconds), [&] { return isSet() || fHopeless; });
    return isSet();
}

void EngineLink::setParameter(uint32_t index, double value)
{
    const bool known = index < kParameters || index == kTempo;
    if (!known || !std::isfinite(value) || fNumbers[index].exchange(value) == value)
        return;
    fTouched |= 1u << index;
    change(1u << index);
}

/* Take the latency from the project's state, if that was stored at this rate and block length: a host that learns it late may export
   what is in line, but begins late (Ardour). */
void EngineLink::expect()
{
    unsigned rate, block;
    Ready ready;
    const int found = std::sscanf(fTexts[kState].c_str(), "%9u/%9u/%9u/%9u/", &rate, &block, &ready.delay, &ready.blocks);
    fExpects = found == 4 && rate == std::round(fNumbers[kRate]) && block == fNumbers[kBlock];
    if (fExpects)
        fReady = within(ready);
}

/* Let the thread send what has changed. */
void EngineLink::change(uint32_t bits)
{
    if (fChanges.fetch_or(bits) == 0)
        eventfd_write(fSignal, 1);
}

void EngineLink::say(const std::string& message)
{
    {
        const std::lock_guard<std::mutex> lock(fLock);
        std::string& shown = fTexts[kLabel + kPage];
        if (message == shown)
            return;
        shown = message;
    }
    std::fprintf(stderr, "gramophone: %s\n", message.c_str());
}

/* Say why no engine can come before a person has done something: nobody need wait for one. */
void EngineLink::giveUp(const std::string& message)
{
    say(message + "; the sound stays dry");
    const std::lock_guard<std::mutex> lock(fLock);
    fHopeless = true;
    fProgress.notify_all();
}

void EngineLink::run()
{
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, nullptr);  // the host's signals are for its own threads
    for (int failures = 0; !fStopping;) {
        const std::array<int, 2> sockets = openSockets();
        fSocket = sockets[0];
        const bool started = startEngine(sockets[1]);
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
        fProgress.wait_for(lock, Seconds(kPauseS * (1 + std::min(failures, kMostPauses))), [this] { return fStopping.load(); });
    }
}

/* Exchange frames until the engine or the plug-in goes. */
void EngineLink::serve()
{
    fUnderWay = 0;
    change(1u << kRate | 1u << kBlock | kStateBit | fTouched);
    if (!sendFrame(fSocket, kHello, &fHello, sizeof(fHello), &fRings))
        return;
    for (const auto late = Clock::now() + kCome; !fStopping && sendChanges();) {
        pollfd wanted[2] {{fSocket, POLLIN, 0}, {fSignal, POLLIN, 0}};
        if (poll(wanted, 2, 1000) < 0)
            return;
        eventfd_t count;
        if (wanted[1].revents != 0)
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
bool EngineLink::sendChanges()
{
    std::unique_lock<std::mutex> lock(fLock);
    if (fUnderWay != 0 || fChanges == 0)
        return true;
    const uint32_t changes = fUnderWay = fChanges.exchange(0);  // under the lock: to `waitUntilSet` it is pending all the time
    const std::string state = (changes & kStateBit) != 0 ? fTexts[kState] : "";
    lock.unlock();
    bool sent = state.empty() || sendFrame(fSocket, kState, state.data(), state.size());
    for (uint32_t type = 0; sent && type <= kBegin; ++type)
        sent = (changes >> type & 1u) == 0 || sendNumber(fSocket, type, fNumbers[type]);
    return sent && sendNumber(fSocket, kDone, 0.0);
}

/* Receive a frame. Unknown types are later additions, and not for us. */
bool EngineLink::receive()
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

void EngineLink::takeNumber(uint32_t type, double number)
{
    const std::lock_guard<std::mutex> lock(fLock);
    const auto whole = [](double value) { return static_cast<uint32_t>(std::min(std::max(value, 0.0), 1e9)); };
    if (type == kDone) {
        fUnderWay = 0;
        fRunning = true;
        fHopeless = false;
        fExpects = fExpects && isPending(kStateBit);
    } else if (type == kDelay) {
        fReported = within({whole(number), whole(fNumbers[kBlocks])});
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

}  // namespace gramophone
