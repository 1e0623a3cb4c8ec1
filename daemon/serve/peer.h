#pragma once
// Who is at the other end of a connected socket: a name for the log, and the identity that the socket proves.

#include "address.h"
#include "connection.h"

enum { PEER_TEXT = 64 };

// identities: NULL if none are configured; then everybody is a robot without a name. Otherwise a Unix socket's peer is
// known by its uid (or a robot without a name), and who comes over tcp: or tls: has yet to say who it is. Over the
// control socket comes an operator. text (PEER_TEXT bytes) becomes peer->text.
void peer_of_socket(struct peer *peer, char *text, int fd, enum address_kind kind, int is_control,
                    const struct identities *identities);
