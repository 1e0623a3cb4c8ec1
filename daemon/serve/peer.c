// Who is there; the contract is in peer.h.
#include "peer.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>

static void name_ip(char *text, int fd)
{
    struct sockaddr_storage from;
    socklen_t size = sizeof from;
    char host[INET6_ADDRSTRLEN];
    if (getpeername(fd, (struct sockaddr *)&from, &size)) {
        snprintf(text, PEER_TEXT, "fd:%d", fd);
        return;
    }
    int is_v4 = from.ss_family == AF_INET;
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)&from;
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&from;
    inet_ntop(from.ss_family, is_v4 ? (const void *)&v4->sin_addr : (const void *)&v6->sin6_addr, host, sizeof host);
    snprintf(text, PEER_TEXT, is_v4 ? "%s:%u" : "[%s]:%u", host, (unsigned)ntohs(is_v4 ? v4->sin_port : v6->sin6_port));
}

void peer_of_socket(struct peer *peer, char *text, int fd, enum address_kind kind, int is_control,
                    const struct identities *identities)
{
    struct ucred credentials;
    socklen_t size = sizeof credentials;
    const struct identity *found = NULL;
    *peer = (struct peer){.text = text, .identity.role = WIRE_ROLE_ROBOT, .is_control = is_control};
    if (kind != ADDRESS_UNIX) {
        name_ip(text, fd);
        if (identities)
            peer->identity.role = WIRE_ROLE_NONE;
    } else if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &size)) {
        snprintf(text, PEER_TEXT, "fd:%d", fd);
    } else {
        snprintf(text, PEER_TEXT, "pid:%d,uid:%u,fd:%d", (int)credentials.pid, (unsigned)credentials.uid, fd);
        found = identities ? identities_by_uid(identities, credentials.uid) : NULL;
    }
    if (found)
        peer->identity = *found;
    if (is_control)
        peer->identity = (struct identity){.role = WIRE_ROLE_ADMIN};
}
