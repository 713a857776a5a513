/* One end of the stream socket: frames out, frames and descriptors in. What the peer sends or withholds never holds it up for long. */
#pragma once

#include "protocol.hpp"

#include <string>
#include <vector>

namespace gramophone {

struct Frame {
    uint32_t type = 0;
    std::string payload;
    std::vector<int> descriptors;  // the receiver closes them

    /* Copy the payload to `value`, which lies flat in memory; false if it has another size. */
    template <typename Value> bool read(Value& value) const
    {
        return payload.size() == sizeof(value) && payload.copy(reinterpret_cast<char*>(&value), sizeof(value)) == sizeof(value);
    }
};

class FrameSocket {
public:
    FrameSocket() = default;
    FrameSocket(const FrameSocket&) = delete;
    FrameSocket& operator=(const FrameSocket&) = delete;
    ~FrameSocket() { close(); }

    /* Take over one end of a pair, and return the other; -1 if there can be none. */
    int open();
    void close();
    int descriptor() const { return fSocket; }

    /* Send a frame; false if the peer is gone, or does not read. */
    bool send(uint32_t type, const void* payload, uint32_t size);

    /* Receive the frame that has begun to arrive; false at the end of the stream, if it is too large, or does not go on. */
    bool receive(Frame& frame);

private:
    bool receiveAll(void* into, size_t size);

    int fSocket = -1;
};

}  // namespace gramophone
