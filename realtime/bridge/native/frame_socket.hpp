/* One end of the stream socket: frames out, frames and descriptors in. What the peer sends or withholds never holds it up for long. */
#pragma once

#include "protocol.hpp"

#include <cstring>
#include <string>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <unistd.h>
#include <utility>
#include <vector>

namespace gramophone {

struct Frame {
    Frame() = default;
    Frame(const Frame&) = delete;
    Frame& operator=(const Frame&) = delete;
    ~Frame()
    {
        for (const int descriptor : descriptors)
            if (descriptor >= 0)
                close(descriptor);
    }

    /* Copy the payload to `value`, which lies flat in memory; false if it has another size. */
    template <typename Value> bool read(Value& value) const
    {
        return payload.size() == sizeof(value) && payload.copy(reinterpret_cast<char*>(&value), sizeof(value)) == sizeof(value);
    }

    /* Hand over a descriptor, which else is closed with the frame. */
    int take(size_t index) { return std::exchange(descriptors[index], -1); }

    uint32_t type = 0;
    std::string payload;
    std::vector<int> descriptors;
};

class FrameSocket {
public:
    FrameSocket() = default;
    FrameSocket(const FrameSocket&) = delete;
    FrameSocket& operator=(const FrameSocket&) = delete;
    ~FrameSocket() { close(); }

    /* Take over one end of a pair, and return the other; -1 if there can be none. */
    int open()
    {
        int pair[2];
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
            return -1;
        const timeval patience {1, 0};  // for the next part of a frame that has begun
        for (const int option : {SO_RCVTIMEO, SO_SNDTIMEO})
            setsockopt(pair[0], SOL_SOCKET, option, &patience, sizeof(patience));
        close();
        fSocket = pair[0];
        return pair[1];
    }

    void close()
    {
        if (fSocket >= 0)
            ::close(fSocket);
        fSocket = -1;
    }

    int descriptor() const { return fSocket; }

    /* Send a frame; false if the peer is gone, or does not read. */
    bool send(uint32_t type, const void* payload, uint32_t size)
    {
        const FrameHeader header {type, size};
        std::string bytes(reinterpret_cast<const char*>(&header), sizeof(header));
        bytes.append(static_cast<const char*>(payload), size);
        for (size_t done = 0; done < bytes.size();) {
            const ssize_t sent = ::send(fSocket, bytes.data() + done, bytes.size() - done, MSG_NOSIGNAL);
            if (sent <= 0)
                return false;
            done += static_cast<size_t>(sent);
        }
        return true;
    }

    /* Receive the frame that has begun to arrive; false at the end of the stream, if it is too large, or does not go on. */
    bool receive(Frame& frame)
    {
        FrameHeader header {};
        alignas(cmsghdr) char control[CMSG_SPACE(3 * sizeof(int))] {};
        iovec part {&header, sizeof(header)};
        msghdr message {};
        message.msg_iov = &part;
        message.msg_iovlen = 1;
        message.msg_control = control;
        message.msg_controllen = sizeof(control);
        const ssize_t got = recvmsg(fSocket, &message, MSG_CMSG_CLOEXEC);
        if (got <= 0)
            return false;
        for (cmsghdr* head = CMSG_FIRSTHDR(&message); head != nullptr; head = CMSG_NXTHDR(&message, head))
            if (head->cmsg_level == SOL_SOCKET && head->cmsg_type == SCM_RIGHTS) {
                frame.descriptors.resize((head->cmsg_len - CMSG_LEN(0)) / sizeof(int));
                std::memcpy(frame.descriptors.data(), CMSG_DATA(head), frame.descriptors.size() * sizeof(int));
            }
        if (!receiveAll(reinterpret_cast<char*>(&header) + got, sizeof(header) - static_cast<size_t>(got)) || header.size > kLargestPayload)
            return false;
        frame.type = header.type;
        frame.payload.resize(header.size);
        return receiveAll(&frame.payload[0], header.size);
    }

private:
    bool receiveAll(void* into, size_t size)
    {
        for (size_t done = 0; done < size;) {
            const ssize_t got = recv(fSocket, static_cast<char*>(into) + done, size - done, 0);
            if (got <= 0)
                return false;
            done += static_cast<size_t>(got);
        }
        return true;
    }

    int fSocket = -1;
};

}  // namespace gramophone
