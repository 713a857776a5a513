#include "frame_socket.hpp"

#include <cstring>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <unistd.h>

namespace gramophone {

namespace {

constexpr timeval kPatience {1, 0};  // for the next part of a frame that has begun
constexpr size_t kMostDescriptors = 3;

void takeDescriptors(msghdr& message, std::vector<int>& descriptors)
{
    for (cmsghdr* head = CMSG_FIRSTHDR(&message); head != nullptr; head = CMSG_NXTHDR(&message, head))
        if (head->cmsg_level == SOL_SOCKET && head->cmsg_type == SCM_RIGHTS) {
            descriptors.resize((head->cmsg_len - CMSG_LEN(0)) / sizeof(int));
            std::memcpy(descriptors.data(), CMSG_DATA(head), descriptors.size() * sizeof(int));
        }
}

}  // namespace

int FrameSocket::open()
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
        return -1;
    for (const int option : {SO_RCVTIMEO, SO_SNDTIMEO})
        setsockopt(pair[0], SOL_SOCKET, option, &kPatience, sizeof(kPatience));
    close();
    fSocket = pair[0];
    return pair[1];
}

void FrameSocket::close()
{
    if (fSocket >= 0)
        ::close(fSocket);
    fSocket = -1;
}

bool FrameSocket::send(uint32_t type, const void* payload, uint32_t size)
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

bool FrameSocket::receive(Frame& frame)
{
    FrameHeader header {};
    alignas(cmsghdr) char control[CMSG_SPACE(kMostDescriptors * sizeof(int))] {};
    iovec part {&header, sizeof(header)};
    msghdr message {};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof(control);
    const ssize_t got = recvmsg(fSocket, &message, MSG_CMSG_CLOEXEC);
    if (got <= 0)
        return false;
    takeDescriptors(message, frame.descriptors);
    if (!receiveAll(reinterpret_cast<char*>(&header) + got, sizeof(header) - static_cast<size_t>(got)) || header.size > kLargestPayload)
        return false;
    frame.type = header.type;
    frame.payload.resize(header.size);
    return receiveAll(&frame.payload[0], header.size);
}

bool FrameSocket::receiveAll(void* into, size_t size)
{
    for (size_t done = 0; done < size;) {
        const ssize_t got = recv(fSocket, static_cast<char*>(into) + done, size - done, 0);
        if (got <= 0)
            return false;
        done += static_cast<size_t>(got);
    }
    return true;
}

}  // namespace gramophone
