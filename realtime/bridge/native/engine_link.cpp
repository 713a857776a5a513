#include "engine_link.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <csignal>
#include <cstdio>
#include <poll.h>
#include <sys/eventfd.h>

namespace gramophone {

namespace {

constexpr double kFirstPauseS = 0.5, kLongestPauseS = 10.0;  // between the end of an engine and the start of the next
constexpr double kComeS = 120.0;  // until an engine must play: the first on a machine compiles
constexpr int kMostFailures = 3;  // engines in a row that end before they play, until nobody waits for one any more
constexpr uint32_t kMostBlocks = 64;
constexpr size_t kLongestLabel = 120;

double now()
{
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

/* Empty an eventfd, or add one to it. */
void take(int signal)
{
    eventfd_t count;
    eventfd_read(signal, &count);
}

void raise(int signal)
{
    eventfd_write(signal, 1);
}

}  // namespace

EngineLink::EngineLink(uint32_t channels) : fChannels(channels), fSignal(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC))
{
    std::fill_n(fValues, kPage + 1, 0.0f);
    std::fill_n(fSetAt, kPage + 1, 0);
    fThread = std::thread([this] { run(); });
}

EngineLink::~EngineLink()
{
    fStopping = true;
    raise(fSignal);
    fThread.join();
    close(fSignal);
}

void EngineLink::setFormat(double rate, uint32_t block)
{
    {
        const std::lock_guard<std::mutex> lock(fLock);
        if (rate == fRate && block == fBlock)
            return;
        fRate = rate;
        fBlock = block;
    }
    fWanted = true;
    change(kFormatBit);
}

void EngineLink::setState(const std::string& state)
{
    {
        const std::lock_guard<std::mutex> lock(fLock);
        fState = state;
        fStateSequence = fSequence + 1;
    }
    change(kStateBit);
}

std::string EngineLink::state() const
{
    const std::lock_guard<std::mutex> lock(fLock);
    return fState;
}

std::string EngineLink::label(uint32_t index) const
{
    const std::lock_guard<std::mutex> lock(fLock);
    return index == kPage && !fMessage.empty() ? fMessage : fLabels[index];
}

bool EngineLink::waitUntilSet(double seconds)
{
    std::unique_lock<std::mutex> lock(fLock);
    const auto arrived = [this] { return fRunning && fDone >= fSequence; };
    fProgress.wait_for(lock, std::chrono::duration<double>(seconds), [&] { return arrived() || fHopeless; });
    return arrived();
}

void EngineLink::setParameter(uint32_t index, float value)
{
    if (index >= kParameters || !std::isfinite(value) || fValues[index].exchange(value) == value)
        return;
    fTouched |= 1u << index;
    fSetAt[index] = change(1u << index);
}

void EngineLink::setTransport(double tempo, bool playing)
{
    const double before = fTempo.exchange(tempo);
    if (fPlaying.exchange(playing) != playing || before != tempo)
        change(kTransportBit);
}

void EngineLink::setOffline(bool offline)
{
    if (fOffline.exchange(offline) != offline)
        change(kFormatBit);
}

/* Let the thread send what has changed; return the number by which the engine will report that it is in effect. */
uint64_t EngineLink::change(uint32_t bits)
{
    fChanges |= bits;
    const uint64_t number = ++fSequence;
    raise(fSignal);
    return number;
}

void EngineLink::say(const std::string& message)
{
    {
        const std::lock_guard<std::mutex> lock(fLock);
        if (message == fMessage)
            return;
        fMessage = message;
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

/* Pause, but not longer than until there is something to play, or the plug-in goes. */
void EngineLink::pauseFor(double seconds)
{
    const bool wanted = fWanted;
    for (const double until = now() + seconds; !fStopping && fWanted == wanted && now() < until;) {
        pollfd signal {fSignal, POLLIN, 0};
        if (poll(&signal, 1, static_cast<int>(1e3 * (until - now())) + 1) > 0)
            take(fSignal);
    }
}

void EngineLink::run()
{
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, nullptr);  // the host's signals are for its own threads
    double pause = kFirstPauseS;
    for (int failures = 0; !fStopping;) {
        if (!fWanted) {
            pauseFor(kFirstPauseS);
            continue;
        }
        const double began = now();
        const std::string wrong = fProcess.start(fSocket.open());
        if (wrong.empty())
            serve();
        else
            giveUp(wrong);
        failures = fRunning ? 0 : failures + 1;
        endEngine();
        if (failures == kMostFailures && wrong.empty())
            giveUp("engines keep ending before they play: `gramophone doctor` looks for the reason");
        pause = now() - began > kLongestPauseS ? kFirstPauseS : std::min(2.0 * pause, kLongestPauseS);
        pauseFor(pause);
    }
}

/* Exchange frames until the engine or the plug-in goes. */
void EngineLink::serve()
{
    fChanges |= kFormatBit | kStateBit | kTransportBit | fTouched;
    ++fSequence;  // so that a number is sent after all that
    for (const double late = now() + kComeS; !fStopping && sendChanges() && (fRunning || now() < late);) {
        pollfd wanted[2] {{fSocket.descriptor(), POLLIN, 0}, {fSignal, POLLIN, 0}};
        if (poll(wanted, 2, 1000) < 0)
            return;
        if (wanted[1].revents != 0)
            take(fSignal);
        if (wanted[0].revents != 0 && !receive()) {
            say("the engine is gone; the sound is dry until another has started");
            return;
        }
    }
}

bool EngineLink::sendChanges()
{
    const uint64_t sequence = fSequence;  // what changes from here on is sent again with a higher number
    const uint32_t changes = fChanges.exchange(0);
    bool sent = ((changes & kFormatBit) == 0 || sendFormat()) && ((changes & kStateBit) == 0 || sendState());
    for (uint32_t index = 0; sent && index < kParameters; ++index) {
        const ParameterChange change {index, fValues[index]};
        sent = (changes >> index & 1u) == 0 || fSocket.send(kParameter, &change, sizeof(change));
    }
    const Transport transport {fTempo, fPlaying, 0};
    sent = sent && ((changes & kTransportBit) == 0 || fSocket.send(kTransport, &transport, sizeof(transport)))
        && ((changes & kBeginBit) == 0 || fSocket.send(kBegin, nullptr, 0))
        && (sequence == fSent || fSocket.send(kDone, &sequence, sizeof(sequence)));
    fSent = sequence;
    return sent;
}

bool EngineLink::sendFormat()
{
    std::unique_lock<std::mutex> lock(fLock);
    const Format format {fRate, fBlock, fChannels, fOffline, 0};
    lock.unlock();
    return fSocket.send(kFormat, &format, sizeof(format));
}

bool EngineLink::sendState()
{
    const std::string text = state();
    return text.empty() || fSocket.send(kState, text.data(), static_cast<uint32_t>(text.size()));
}

bool EngineLink::receive()
{
    Frame frame;
    if (!fSocket.receive(frame))
        return false;
    if (frame.type == kHello)
        return takeHello(frame);
    if (frame.type == kReady)
        takeReady(frame);
    else if (frame.type == kParameter)
        takeParameter(frame);
    else
        takeText(frame);
    return true;
}

/* Map the memory that the engine offers. */
bool EngineLink::takeHello(Frame& frame)
{
    Hello hello {};
    const bool spoken = frame.read(hello) && frame.descriptors.size() == 3 && hello.magic == kMagic;
    if (!spoken || hello.version != kVersion) {
        giveUp(spoken ? "engine and plug-in speak other versions of the protocol: run `gramophone bridge install` again"
                      : "what answered is not an engine of Gramophone");
        return false;
    }
    std::unique_lock<std::mutex> lock(fMemoryLock);
    const bool input = fMemory.input.open(frame.take(0), hello.input, fChannels);
    const bool output = fMemory.output.open(frame.take(1), hello.output, fChannels);
    fMemory.setWake(frame.take(2));
    ++fMemory.generation;
    lock.unlock();
    if (!input || !output)
        giveUp("the engine's memory is not laid out as it says");
    return input && output;
}

void EngineLink::takeReady(const Frame& frame)
{
    Ready ready;
    if (!frame.read(ready) || fMemory.wake < 0)
        return;
    ready.blocks = std::min(std::max(ready.blocks, 1u), kMostBlocks);
    ready.delay = std::min(ready.delay, static_cast<uint32_t>(Ring::kLongestDelay));
    fReady = ready;
    fRunning = true;
    const std::lock_guard<std::mutex> lock(fLock);
    fHopeless = false;
    fMessage.clear();
    fProgress.notify_all();
}

void EngineLink::takeParameter(const Frame& frame)
{
    ParameterChange change;
    if (!frame.read(change) || change.index > kPage || !std::isfinite(change.value))
        return;
    if (fDone < fSetAt[change.index])
        return;  // the host has set it meanwhile
    fValues[change.index] = change.value;
    fMoved |= 1u << change.index;
}

/* Texts, and how far the engine has come. Unknown types are later additions, and not for us. */
void EngineLink::takeText(const Frame& frame)
{
    if (frame.type == kMessage)
        return say(frame.payload);
    const std::lock_guard<std::mutex> lock(fLock);
    uint32_t index;
    if (frame.type == kDone && frame.read(fDone)) {
        fProgress.notify_all();
    } else if (frame.type == kState && fDone >= fStateSequence) {
        fState = frame.payload;
    } else if (frame.type == kLabel && frame.payload.size() >= sizeof(index)) {
        frame.payload.copy(reinterpret_cast<char*>(&index), sizeof(index));
        if (index <= kPage)
            fLabels[index] = frame.payload.substr(sizeof(index), kLongestLabel);
    }
}

void EngineLink::endEngine()
{
    fRunning = false;
    {
        const std::lock_guard<std::mutex> lock(fLock);
        fDone = 0;
    }
    {
        const std::lock_guard<std::mutex> lock(fMemoryLock);
        fMemory.input.close();
        fMemory.output.close();
        fMemory.setWake(-1);
    }
    fSocket.close();
    fProcess.end();
}

}  // namespace gramophone
