/* The link to the engine: what the host has set goes there, what the engine reports comes back; one that dies is replaced.

   All of that happens in a thread of its own. The audio thread only takes the lock that guards the mapped memory if it is free. */
#pragma once

#include "engine_process.hpp"
#include "frame_socket.hpp"
#include "ring.hpp"

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>

namespace gramophone {

class EngineLink {
public:
    explicit EngineLink(uint32_t channels);
    ~EngineLink();

    /* Any thread but the audio thread. The first format starts an engine. */
    void setFormat(double rate, uint32_t block);
    void setState(const std::string& state);
    std::string state() const;

    /* What parameter `index` stands for; that of `kPage` is the page's address, or what is wrong. */
    std::string label(uint32_t index) const;

    /* Wait until an engine plays with all that was set, `seconds` at the most, and not where none can come; return whether one does.
       The audio thread may call this while the host bounces. */
    bool waitUntilSet(double seconds);

    /* Audio thread: never blocks. */
    bool alive() const { return fRunning; }
    void setParameter(uint32_t index, float value);
    float parameter(uint32_t index) const { return fValues[index]; }
    uint32_t takeMoved() { return fMoved.exchange(0); }  // a bit for each parameter that the engine has set since the last call
    void setTransport(double tempo, bool playing);
    void setOffline(bool offline);
    void begin() { change(kBeginBit); }
    Ready ready() const { return fReady; }

    /* The memory shared with the engine, while one runs. */
    struct Memory {
        void setWake(int descriptor)
        {
            if (wake >= 0)
                close(wake);
            wake = descriptor;
        }

        Ring input, output;
        int wake = -1;
        uint64_t generation = 0;
    };

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
    /* Bits of what has to be sent, above those of the parameters. */
    enum Change : uint32_t { kFormatBit = 1u << 16, kStateBit = 1u << 17, kTransportBit = 1u << 18, kBeginBit = 1u << 19 };

    uint64_t change(uint32_t bits);
    void run();
    void serve();
    void pauseFor(double seconds);
    bool sendChanges();
    bool sendFormat();
    bool sendState();
    bool receive();
    bool takeHello(Frame& frame);
    void takeReady(const Frame& frame);
    void takeParameter(const Frame& frame);
    void takeText(const Frame& frame);
    void endEngine();
    void say(const std::string& message);
    void giveUp(const std::string& message);

    const uint32_t fChannels;
    EngineProcess fProcess;
    FrameSocket fSocket;
    int fSignal = -1;  // an eventfd that wakes the thread
    std::thread fThread;
    std::atomic<bool> fWanted {false}, fStopping {false};

    std::atomic<uint32_t> fChanges {0};
    std::atomic<uint32_t> fTouched {0};   // parameters that the host has set at any time
    std::atomic<uint32_t> fMoved {0};
    std::atomic<uint64_t> fSequence {0};  // counts changes; the engine reports up to where they are in effect
    uint64_t fSent = 0;
    std::atomic<float> fValues[kPage + 1];
    std::atomic<uint64_t> fSetAt[kPage + 1];  // the sequence when the host set it last
    std::atomic<double> fTempo {120.0};
    std::atomic<bool> fPlaying {false}, fOffline {false};

    mutable std::mutex fLock;  // guards what follows
    std::condition_variable fProgress;
    std::string fState, fMessage, fLabels[kPage + 1];
    uint64_t fStateSequence = 0;  // an engine that has not come so far does not know the project's state yet
    uint64_t fDone = 0;
    double fRate = 0.0;
    uint32_t fBlock = 0;
    bool fHopeless = false;

    std::mutex fMemoryLock;
    Memory fMemory;
    std::atomic<bool> fRunning {false};
    std::atomic<Ready> fReady {Ready {0, 1}};
};

}  // namespace gramophone
