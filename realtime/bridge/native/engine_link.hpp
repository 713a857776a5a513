/* The link to the engine process: starts it, talks to it over a socket, maps its memory, and starts another when it dies.

   All of that happens in a thread of its own. The audio thread only takes the lock that guards the mapped memory if it is free. */
#pragma once

#include "protocol.hpp"
#include "ring.hpp"

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace gramophone {

class EngineLink {
public:
    EngineLink();
    ~EngineLink();

    /* Any thread but the audio thread: what the engine is to be made for. Another format starts it anew. */
    void setFormat(double rate, uint32_t block);
    void setState(const std::string& toml);
    std::string state() const;
    std::string message() const;

    /* Wait for a running engine, `seconds` at the most, and not where none can come; return whether there is one. */
    bool waitUntilReady(double seconds);

    /* Audio thread: never blocks. */
    bool alive() const { return fAlive.load(std::memory_order_acquire); }
    void setParameter(uint32_t index, float value);
    float parameter(uint32_t index) const { return fValues[index].load(std::memory_order_relaxed); }
    void setTransport(double tempo, bool playing);
    void setOffline(bool offline);
    void begin();

    /* Audio thread, offline alone: wait until what was set is in effect, `seconds` at the most. */
    bool waitUntilSet(double seconds);

    /* The memory shared with the engine, while one runs. */
    struct Memory {
        Ring input, output;
        int wake = -1;
        uint64_t generation = 0;
    };

    /* Of time that the engine has, in blocks; the latency of its chain when it became ready, samples. */
    uint32_t blocks() const { return fBlocks; }
    uint32_t delay() const { return fDelay; }

    /* The audio thread's way to the memory: empty while there is no engine, or the other thread changes it. */
    class Access {
    public:
        explicit Access(EngineLink& link) : fLock(link.fMemoryLock, std::try_to_lock), fLink(link) {}
        Memory* operator->() const { return &fLink.fMemory; }
        explicit operator bool() const { return fLock.owns_lock() && fLink.fRunning; }

    private:
        std::unique_lock<std::mutex> fLock;
        EngineLink& fLink;
    };

private:
    void run();
    bool listen();
    bool spawn();
    bool accept();
    bool takeHeader(FrameHeader& header, std::vector<int>& descriptors);
    bool takeHello(const std::string& payload, const std::vector<int>& descriptors);
    void serve();
    bool takeFrame();
    bool sendChanges();
    bool sendFrame(uint32_t type, const void* payload, uint32_t size);
    void endEngine();
    void say(const std::string& message);
    void giveUp(const std::string& message);
    void pauseFor(double seconds);
    void notify();

    std::thread fThread;
    std::atomic<bool> fStopping {false}, fAlive {false}, fFormatChanged {false}, fStateChanged {false};
    std::atomic<uint64_t> fSequence {1}, fDone {0};
    uint64_t fSent = 0;
    std::atomic<uint32_t> fChanged {0};
    std::atomic<float> fValues[kParameters];
    std::atomic<double> fTempo {120.0};
    std::atomic<bool> fPlaying {false}, fTransportChanged {false}, fOffline {false}, fOfflineChanged {false}, fBegins {false};

    mutable std::mutex fTextLock;
    std::condition_variable fReadyChanged;
    std::string fState, fMessage;
    double fRate = 0.0;
    uint32_t fBlock = 0;
    bool fReady = false, fHopeless = false;

    std::mutex fMemoryLock;
    Memory fMemory;
    std::atomic<bool> fRunning {false};
    std::atomic<uint32_t> fBlocks {1}, fDelay {0};

    std::string fPath;
    int fListener = -1, fSocket = -1, fSignal = -1;
    pid_t fEngine = -1;
};

}  // namespace gramophone
