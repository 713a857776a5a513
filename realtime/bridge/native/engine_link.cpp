#include "engine_link.hpp"

#include <cerrno>
#include <chrono>
#include <cmath>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <fstream>
#include <poll.h>
#include <spawn.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

extern char** environ;

namespace gramophone {

namespace {

constexpr double kConnectS = 30.0;  // until a started engine must have connected
constexpr double kFirstPauseS = 0.5, kLongestPauseS = 10.0;  // between the end of an engine and the start of the next
constexpr int kMostFailures = 3;  // engines in a row that end before they play, until nobody waits for one any more
constexpr int kFrameMs = 1000;  // within which a frame that has begun must be whole

std::string folder(const char* variable, const char* below)
{
    if (const char* place = std::getenv(variable); place != nullptr && *place != '\0')
        return place;
    const char* home = std::getenv("HOME");
    return std::string(home != nullptr ? home : "/tmp") + below;
}

/* The command that starts an engine, a word a line, as `gramophone bridge install` wrote it. */
std::vector<std::string> engineCommand()
{
    std::ifstream file(folder("XDG_CONFIG_HOME", "/.config") + "/gramophone/bridge.command");
    std::vector<std::string> words;
    for (std::string word; std::getline(file, word);)
        if (!word.empty())
            words.push_back(word);
    return words;
}

double now()
{
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

bool readable(int descriptor, int milliseconds)
{
    pollfd wanted {descriptor, POLLIN, 0};
    return poll(&wanted, 1, milliseconds) > 0 && (wanted.revents & (POLLIN | POLLHUP)) != 0;
}

/* Read exactly `size` bytes; false at the end of the stream, on an error, or if they do not come in time. */
bool readAll(int descriptor, void* into, size_t size)
{
    auto* to = static_cast<uint8_t*>(into);
    while (size > 0) {
        if (!readable(descriptor, kFrameMs))
            return false;
        const ssize_t got = recv(descriptor, to, size, 0);
        if (got <= 0)
            return false;
        to += got;
        size -= static_cast<size_t>(got);
    }
    return true;
}

}  // namespace

EngineLink::EngineLink() : fSignal(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC))
{
    for (auto& value : fValues)
        value = 0.0f;
    fThread = std::thread([this] { run(); });
}

EngineLink::~EngineLink()
{
    fStopping = true;
    notify();
    fThread.join();
    close(fSignal);
}

void EngineLink::setFormat(double rate, uint32_t block)
{
    {
        const std::lock_guard<std::mutex> lock(fTextLock);
        if (rate == fRate && block == fBlock)
            return;
        fRate = rate;
        fBlock = block;
        fReady = false;
    }
    fFormatChanged = true;
    notify();
}

void EngineLink::setState(const std::string& toml)
{
    {
        const std::lock_guard<std::mutex> lock(fTextLock);
        fState = toml;
    }
    fSequence.fetch_add(1);
    fStateChanged = true;
    notify();
}

std::string EngineLink::state() const
{
    const std::lock_guard<std::mutex> lock(fTextLock);
    return fState;
}

std::string EngineLink::message() const
{
    const std::lock_guard<std::mutex> lock(fTextLock);
    return fMessage;
}

bool EngineLink::waitUntilReady(double seconds)
{
    std::unique_lock<std::mutex> lock(fTextLock);
    fReadyChanged.wait_for(lock, std::chrono::duration<double>(seconds), [this] { return fReady || fHopeless; });
    return fReady;
}

void EngineLink::setParameter(uint32_t index, float value)
{
    if (index >= kParameters || !std::isfinite(value) || fValues[index].exchange(value) == value)
        return;
    fSequence.fetch_add(1);
    fChanged.fetch_or(1u << index);
    notify();
}

void EngineLink::setTransport(double tempo, bool playing)
{
    const double before = fTempo.exchange(tempo);
    if (fPlaying.exchange(playing) == playing && before == tempo)
        return;
    fSequence.fetch_add(1);
    fTransportChanged = true;
    notify();
}

void EngineLink::setOffline(bool offline)
{
    if (fOffline.exchange(offline) == offline)
        return;
    fOfflineChanged = true;
    notify();
}

void EngineLink::begin()
{
    fSequence.fetch_add(1);
    fBegins = true;
    notify();
}

bool EngineLink::waitUntilSet(double seconds)
{
    const uint64_t wanted = fSequence;
    for (const double until = now() + seconds; fDone < wanted;) {
        if (now() > until || !alive())
            return false;
        usleep(50);
    }
    return true;
}

void EngineLink::notify()
{
    const uint64_t one = 1;
    [[maybe_unused]] const ssize_t written = write(fSignal, &one, sizeof(one));
}

void EngineLink::say(const std::string& message)
{
    {
        const std::lock_guard<std::mutex> lock(fTextLock);
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
    {
        const std::lock_guard<std::mutex> lock(fTextLock);
        fHopeless = true;
    }
    fReadyChanged.notify_all();
}

void EngineLink::pauseFor(double seconds)
{
    for (const double until = now() + seconds; !fStopping && now() < until;)
        if (readable(fSignal, 50)) {
            uint64_t count;
            [[maybe_unused]] const ssize_t got = read(fSignal, &count, sizeof(count));
        }
}

void EngineLink::run()
{
    double pause = kFirstPauseS;
    int failures = 0;
    while (!fStopping) {
        bool known;
        {
            const std::lock_guard<std::mutex> lock(fTextLock);
            known = fRate > 0.0 && fBlock > 0;
        }
        if (!known) {
            pauseFor(kFirstPauseS);
            continue;
        }
        fFormatChanged = false;
        const double began = now();
        if (listen() && spawn() && accept())
            serve();
        const bool played = alive();
        endEngine();
        if (fStopping)
            break;
        if (fFormatChanged) {
            pause = kFirstPauseS;
            continue;
        }
        failures = played ? 0 : failures + 1;
        if (failures == kMostFailures)
            giveUp("engines keep ending before they play: `gramophone doctor` looks for the reason");
        pause = now() - began > kLongestPauseS ? kFirstPauseS : std::min(2.0 * pause, kLongestPauseS);
        pauseFor(pause);
    }
}

bool EngineLink::listen()
{
    static std::atomic<uint32_t> number {0};
    sockaddr_un address {};
    address.sun_family = AF_UNIX;
    const std::string place = folder("XDG_RUNTIME_DIR", "/.cache") + "/gramophone";
    mkdir(place.c_str(), 0700);
    fPath = place + "/bridge-" + std::to_string(getpid()) + "-" + std::to_string(number++) + ".sock";
    if (fPath.size() >= sizeof(address.sun_path)) {
        giveUp("the path of the socket is too long: " + fPath);
        return false;
    }
    std::copy(fPath.begin(), fPath.end(), address.sun_path);
    unlink(fPath.c_str());
    fListener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    const mode_t before = umask(0077);  // nobody else may connect
    const bool bound = fListener >= 0 && bind(fListener, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0
        && ::listen(fListener, 1) == 0;
    umask(before);
    if (!bound)
        giveUp("no socket at " + fPath + ": " + std::strerror(errno));
    return bound;
}

bool EngineLink::spawn()
{
    std::vector<std::string> words = engineCommand();
    if (words.empty()) {
        giveUp("no engine is installed for this user: run `gramophone bridge install`");
        return false;
    }
    words.push_back(fPath);
    std::vector<char*> arguments;
    for (std::string& word : words)
        arguments.push_back(word.data());
    arguments.push_back(nullptr);

    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addclosefrom_np(&actions, 3);
    posix_spawnattr_t attributes;
    posix_spawnattr_init(&attributes);
    sigset_t none, usual;
    sigemptyset(&none);
    sigfillset(&usual);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &usual);
    posix_spawnattr_setpgroup(&attributes, 0);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
    const int failure = posix_spawnp(&fEngine, arguments[0], &actions, &attributes, arguments.data(), environ);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    if (failure != 0) {
        fEngine = -1;
        giveUp("the engine " + words[0] + " does not start: " + std::strerror(failure));
    }
    return failure == 0;
}

bool EngineLink::accept()
{
    for (const double until = now() + kConnectS; now() < until && !fStopping && !fFormatChanged;) {
        if (readable(fListener, 50)) {
            fSocket = accept4(fListener, nullptr, nullptr, SOCK_CLOEXEC);
            if (fSocket >= 0)
                return true;
        }
        if (fEngine > 0 && waitpid(fEngine, nullptr, WNOHANG) == fEngine) {
            fEngine = -1;
            say("the engine ended before it was ready; the sound stays dry, another one is started");
            return false;
        }
    }
    return false;
}

/* Read a header, and the descriptors that came with it. */
bool EngineLink::takeHeader(FrameHeader& header, std::vector<int>& descriptors)
{
    alignas(cmsghdr) char control[CMSG_SPACE(3 * sizeof(int))] {};
    iovec part {&header, sizeof(header)};
    msghdr message {};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof(control);
    const ssize_t got = recvmsg(fSocket, &message, MSG_CMSG_CLOEXEC);
    for (cmsghdr* head = CMSG_FIRSTHDR(&message); head != nullptr; head = CMSG_NXTHDR(&message, head))
        if (head->cmsg_level == SOL_SOCKET && head->cmsg_type == SCM_RIGHTS) {
            descriptors.resize((head->cmsg_len - CMSG_LEN(0)) / sizeof(int));
            std::memcpy(descriptors.data(), CMSG_DATA(head), descriptors.size() * sizeof(int));
        }
    const auto size = static_cast<ssize_t>(sizeof(header));
    return got > 0 && (got == size || readAll(fSocket, reinterpret_cast<uint8_t*>(&header) + got, static_cast<size_t>(size - got)));
}

/* Map the memory that the engine offers; its descriptors are closed or kept, whatever they are. */
bool EngineLink::takeHello(const std::string& payload, const std::vector<int>& descriptors)
{
    Hello hello {};
    const bool spoken = payload.size() == sizeof(hello) && descriptors.size() == 3;
    if (spoken)
        std::memcpy(&hello, payload.data(), sizeof(hello));
    if (!spoken || hello.magic != kMagic || hello.version != kVersion) {
        for (const int descriptor : descriptors)
            close(descriptor);
        giveUp(spoken && hello.magic == kMagic
                ? "the engine speaks version " + std::to_string(hello.version) + " of the protocol, the plug-in "
                    + std::to_string(kVersion) + ": run `gramophone bridge install` again"
                : std::string("what answered is not an engine of Gramophone"));
        return false;
    }
    const std::lock_guard<std::mutex> lock(fMemoryLock);
    const bool input = fMemory.input.open(descriptors[0], hello.input);
    const bool output = fMemory.output.open(descriptors[1], hello.output);
    if (fMemory.wake >= 0)
        close(fMemory.wake);
    fMemory.wake = descriptors[2];
    ++fMemory.generation;
    if (!input || !output)
        giveUp("the engine's memory is not laid out as it says");
    return input && output;
}

/* Exchange frames until the engine dies, the format changes or the plug-in goes. */
void EngineLink::serve()
{
    Format format {};
    {
        const std::lock_guard<std::mutex> lock(fTextLock);
        format = {fRate, fBlock, kChannels, static_cast<uint32_t>(getpid()), fOffline};
    }
    fOfflineChanged = false;
    fSent = fSequence - 1;  // so that a number is sent after all that comes first
    fStateChanged = true;
    fTransportChanged = true;
    fChanged = (1u << kParameters) - 1;
    if (!sendFrame(kFormat, &format, sizeof(format)))
        return;
    while (!fStopping && !fFormatChanged) {
        if (!sendChanges())
            return;
        pollfd wanted[2] {{fSocket, POLLIN, 0}, {fSignal, POLLIN, 0}};
        if (poll(wanted, 2, 200) < 0 && errno != EINTR)
            return;
        if (wanted[1].revents & POLLIN) {
            uint64_t count;
            [[maybe_unused]] const ssize_t got = read(fSignal, &count, sizeof(count));
        }
        if ((wanted[0].revents & (POLLIN | POLLHUP | POLLERR)) != 0 && !takeFrame()) {
            if (!fStopping)
                say("the engine is gone; the sound is dry until another has started");
            return;
        }
    }
}

bool EngineLink::sendChanges()
{
    if (fOfflineChanged.exchange(false)) {
        const std::lock_guard<std::mutex> lock(fTextLock);
        const Format format {fRate, fBlock, kChannels, static_cast<uint32_t>(getpid()), fOffline};
        if (!sendFrame(kFormat, &format, sizeof(format)))
            return false;
    }
    if (fStateChanged.exchange(false)) {
        const std::string toml = state();
        if (!toml.empty() && !sendFrame(kState, toml.data(), static_cast<uint32_t>(toml.size())))
            return false;
    }
    const uint64_t sequence = fSequence;  // what changes from here on is sent again with a higher number
    const uint32_t changed = fChanged.exchange(0);
    for (uint32_t index = 0; index < kParameters; ++index) {
        const ParameterChange change {index, fValues[index]};
        if ((changed >> index & 1u) != 0 && !sendFrame(kParameter, &change, sizeof(change)))
            return false;
    }
    if (fTransportChanged.exchange(false)) {
        const Transport transport {fTempo, fPlaying, 0};
        if (!sendFrame(kTransport, &transport, sizeof(transport)))
            return false;
    }
    if (fBegins.exchange(false) && !sendFrame(kBegin, nullptr, 0))
        return false;
    if (sequence == fSent)
        return true;
    fSent = sequence;
    return sendFrame(kDone, &sequence, sizeof(sequence));
}

bool EngineLink::sendFrame(uint32_t type, const void* payload, uint32_t size)
{
    const FrameHeader header {type, size};
    iovec parts[2] {{const_cast<FrameHeader*>(&header), sizeof(header)}, {const_cast<void*>(payload), size}};
    msghdr message {};
    message.msg_iov = parts;
    message.msg_iovlen = 2;
    size_t left = sizeof(header) + size;
    while (left > 0) {
        const ssize_t sent = sendmsg(fSocket, &message, MSG_NOSIGNAL);
        if (sent <= 0)
            return false;
        left -= static_cast<size_t>(sent);
        size_t gone = static_cast<size_t>(sent);
        for (iovec& part : parts) {
            const size_t here = std::min(gone, part.iov_len);
            part.iov_base = static_cast<uint8_t*>(part.iov_base) + here;
            part.iov_len -= here;
            gone -= here;
        }
    }
    return true;
}

bool EngineLink::takeFrame()
{
    FrameHeader header {};
    std::vector<int> descriptors;
    std::string payload;
    bool whole = takeHeader(header, descriptors) && header.size <= kLargestPayload;
    if (whole) {
        payload.resize(header.size);
        whole = readAll(fSocket, &payload[0], payload.size());
    }
    if (whole && header.type == kHello)
        return takeHello(payload, descriptors);
    for (const int descriptor : descriptors)
        close(descriptor);
    if (!whole)
        return false;
    switch (header.type) {
    case kReady:
        if (payload.size() == sizeof(Ready) && fMemory.wake >= 0) {
            Ready ready;
            std::memcpy(&ready, payload.data(), sizeof(ready));
            fBlocks = std::min(std::max(ready.blocks, 1u), 64u);
            fDelay = std::min(ready.delay, static_cast<uint32_t>(Ring::kLongestDelay));
            fRunning = true;
            fAlive = true;
            const std::lock_guard<std::mutex> lock(fTextLock);
            fReady = true;
            fHopeless = false;
            fMessage.clear();
        }
        fReadyChanged.notify_all();
        break;
    case kParameter:
        if (payload.size() == sizeof(ParameterChange)) {
            ParameterChange change;
            std::memcpy(&change, payload.data(), sizeof(change));
            if (change.index < kParameters && std::isfinite(change.value))
                fValues[change.index] = change.value;
        }
        break;
    case kState: {
        const std::lock_guard<std::mutex> lock(fTextLock);
        fState = payload;
        break;
    }
    case kMessage:
        say(payload);
        break;
    case kDone:
        if (payload.size() == sizeof(uint64_t)) {
            uint64_t sequence;
            std::memcpy(&sequence, payload.data(), sizeof(sequence));
            fDone = sequence;
        }
        break;
    default:
        break;  // a later minor addition: not for us
    }
    return true;
}

void EngineLink::endEngine()
{
    fAlive = false;
    {
        const std::lock_guard<std::mutex> lock(fTextLock);
        fReady = false;
    }
    {
        const std::lock_guard<std::mutex> lock(fMemoryLock);
        fRunning = false;
        fMemory.input.close();
        fMemory.output.close();
        if (fMemory.wake >= 0)
            close(fMemory.wake);
        fMemory.wake = -1;
    }
    for (int* descriptor : {&fSocket, &fListener}) {
        if (*descriptor >= 0)
            close(*descriptor);
        *descriptor = -1;
    }
    if (!fPath.empty())
        unlink(fPath.c_str());
    if (fEngine > 0) {  // it ends by itself when the socket closes; one that hangs is ended
        for (const double until = now() + 2.0; waitpid(fEngine, nullptr, WNOHANG) == 0;) {
            if (now() > until) {
                kill(fEngine, SIGKILL);
                waitpid(fEngine, nullptr, 0);
                break;
            }
            usleep(5000);
        }
        fEngine = -1;
    }
}

}  // namespace gramophone
