#pragma once
// Stands between a client and the daemon, and changes one thing that the daemon says.

#include <stddef.h>
#include <stdint.h>

struct liar;

// Listens at the Unix socket `path` for one client at a time, and connects it to the daemon at `address`.
struct liar *liar_start(const char *path, const char *address);
// From now on, wherever these 16 bytes are said, the first of them is another.
void liar_change(struct liar *liar, const uint8_t bytes[16]);
void liar_stop(struct liar *liar);
