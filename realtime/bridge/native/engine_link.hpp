/* The link to the engine: what the host has set goes there, what the engine reports comes back; one that dies is replaced.

   All of that happens in a thread of its own, which the audio thread never waits for but while the host bounces. */
#pragma once

#include "frame_socket.hpp"

#include <condition_variable>
#include <filesystem>
#include <map>
#include <mutex>
#include <thread>

namespace gramophone {

/* Where a file of the user's configuration of Gramophone is. */
std::filesystem::path configurationFile(const char* name);

/* What the engine needs: the latency of its chain in samples, and its time in blocks. */
struct Ready {
    uint32_t delay = 0, blocks = 1;
    bool operator!=(const Ready& other) const { return delay != other.delay || blocks != other.blocks; }
};

class EngineLink {
public:
    EngineLink(uint32_t channels, const Descriptors& rings);
    ~EngineLink();

    /* Any thread but the audio thread. The first format starts an engine. */
    void setFormat(double rate, uint32_t block);
    void setState(const std::string& state);

    /* A text by the type of its frame: what a parameter stands for (of `kPage` the page's address, or what is wrong), or `kState`. */
    std::string text(uint32_t type) const;

    /* Wait until an engine plays with all that was set, `seconds` at the most, and not where none can come; return whether one does.
       The audio thread may call this while the host bounces. */
    bool waitUntilSet(double seconds);

    /* Audio thread: never blocks. A parameter is one of the host's, or `kTempo`. */
    bool alive() const { return fRunning; }
    void setParameter(uint32_t index, double value);
    float parameter(uint32_t index) const { return static_cast<float>(fNumbers[index].load()); }
    uint32_t takeMoved() { return fMoved.exchange(0); }  // a bit for each parameter that the engine has set since the last call
    void begin() { change(1u << kBegin); }
    Ready ready() const { return fReady; }
    bool expects() const { return fExpects; }  // whether that is what the project says, whose chain is still to come

private:
    static constexpr uint32_t kStateBit = 1u << 31;  // beside those of the numbers, of what has to be sent

    void change(uint32_t bits);
    void expect();
    bool isPending(uint32_t bits) const { return ((fChanges | fUnderWay) & bits) != 0; }
    void run();
    void serve();
    bool sendChanges();
    bool receive();
    void takeNumber(uint32_t type, double number);
    void say(const std::string& message);
    void giveUp(const std::string& message);

    const Hello fHello;
    const Descriptors fRings;
    int fSocket = -1;
    const int fSignal;  // an eventfd that wakes the thread
    std::thread fThread;
    std::atomic<bool> fStopping {false}, fRunning {false};

    std::atomic<double> fNumbers[kDelay + 1] {};
    std::atomic<uint32_t> fChanges {0};   // what is to be sent next
    std::atomic<uint32_t> fUnderWay {0};  // what was sent, and is not in effect yet
    std::atomic<uint32_t> fTouched {0};   // what the host has set at any time
    std::atomic<uint32_t> fMoved {0};
    std::atomic<Ready> fReady {Ready {}};
    std::atomic<bool> fExpects {false};   // `fReady` is what the project says, until the engine has its state

    mutable std::mutex fLock;  // guards what follows
    std::condition_variable fProgress;
    std::map<uint32_t, std::string> fTexts;
    Ready fReported;         // by the engine
    bool fHopeless = false;
};

}  // namespace gramophone
