/* Frames by a stream socket. What the peer sends or withholds never holds this end up for long. */
#pragma once

#include "protocol.hpp"

#include <array>
#include <string>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

namespace gramophone {

/* Return both ends of a pair of sockets, whose first waits for its peer for a second at the most. */
inline std::array<int, 2> openSockets()
{
    std::array<int, 2> pair {-1, -1};
    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair.data());
    const timeval patience {1, 0};
    for (const int option : {SO_RCVTIMEO, SO_SNDTIMEO})
        setsockopt(pair[0], SOL_SOCKET, option, &patience, sizeof(patience));
    return pair;
}

/* Send a frame; false if the peer is gone, or does not read. */
inline bool sendFrame(int socket, uint32_t type, const void* payload, size_t size)
{
    const uint32_t header[2] {type, static_cast<uint32_t>(size)};
    std::string frame(reinterpret_cast<const char*>(header), sizeof(header));
    frame.append(static_cast<const char*>(payload), size);
    return send(socket, frame.data(), frame.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(frame.size());
}

/* Receive the frame that has begun to arrive; false at the end of the stream, if it is too large, or does not go on. */
inline bool receiveFrame(int socket, uint32_t& type, std::string& payload)
{
    uint32_t header[2];
    if (recv(socket, header, sizeof(header), MSG_WAITALL) != sizeof(header) || header[1] > kLargestPayload)
        return false;
    type = header[0];
    payload.resize(header[1]);
    return payload.empty() || recv(socket, payload.data(), payload.size(), MSG_WAITALL) == static_cast<ssize_t>(payload.size());
}

}  // namespace gramophone
