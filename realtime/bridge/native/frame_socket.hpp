/* Frames by a stream socket. What the peer sends or withholds never holds this end up for long. */
#pragma once

#include "protocol.hpp"

#include <array>
#include <cstring>
#include <string>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <unistd.h>

namespace gramophone {

/* The descriptors that go with the hello. */
struct Descriptors {
    int input, output;
};

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

/* Send a frame, with descriptors if there are any; false if the peer is gone, or does not read. */
inline bool sendFrame(int socket, uint32_t type, const void* payload, size_t size, const Descriptors* descriptors = nullptr)
{
    uint32_t header[2] {type, static_cast<uint32_t>(size)};
    iovec parts[2] {{header, sizeof(header)}, {const_cast<void*>(payload), size}};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(Descriptors))] {};
    msghdr message {};
    message.msg_iov = parts;
    message.msg_iovlen = 2;
    if (descriptors != nullptr) {
        message.msg_control = control;
        message.msg_controllen = sizeof(control);
        *CMSG_FIRSTHDR(&message) = {CMSG_LEN(sizeof(Descriptors)), SOL_SOCKET, SCM_RIGHTS};
        std::memcpy(CMSG_DATA(CMSG_FIRSTHDR(&message)), descriptors, sizeof(Descriptors));
    }
    return sendmsg(socket, &message, MSG_NOSIGNAL) == static_cast<ssize_t>(sizeof(header) + size);
}

inline bool sendNumber(int socket, uint32_t type, double number)
{
    return sendFrame(socket, type, &number, sizeof(number));
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
