/* One end of the stream socket: frames out, frames in. What the peer sends or withholds never holds it up for long. */
#pragma once

#include "protocol.hpp"

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

class FrameSocket {
public:
    /* Take over one end of a pair, and return the other; -1 if there can be none. */
    int open()
    {
        int pair[2];
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
            return -1;
        const timeval patience {1, 0};  // for the next part of a frame that has begun
        for (const int option : {SO_RCVTIMEO, SO_SNDTIMEO})
            setsockopt(pair[0], SOL_SOCKET, option, &patience, sizeof(patience));
        fSocket = pair[0];
        return pair[1];
    }

    void close()
    {
        ::close(fSocket);
        fSocket = -1;
    }

    int descriptor() const { return fSocket; }

    /* Send a frame, with descriptors if there are any; false if the peer is gone, or does not read. */
    bool send(uint32_t type, const void* payload, size_t size, const Descriptors* descriptors = nullptr)
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
        return sendmsg(fSocket, &message, MSG_NOSIGNAL) == static_cast<ssize_t>(sizeof(header) + size);
    }

    bool send(uint32_t type, double number) { return send(type, &number, sizeof(number)); }

    /* Receive the frame that has begun to arrive; false at the end of the stream, if it is too large, or does not go on. */
    bool receive(uint32_t& type, std::string& payload)
    {
        uint32_t header[2];
        if (!receiveAll(header, sizeof(header)) || header[1] > kLargestPayload)
            return false;
        type = header[0];
        payload.resize(header[1]);
        return receiveAll(payload.data(), payload.size());
    }

private:
    bool receiveAll(void* into, size_t size) { return recv(fSocket, into, size, MSG_WAITALL) == static_cast<ssize_t>(size); }

    int fSocket = -1;
};

}  // namespace gramophone
