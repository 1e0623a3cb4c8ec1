#pragma once
// What nghttp2 forgives and HTTP/2 does not: frames of a stream that its own peer has reset, and requests whose number
// was passed over. It looks at the heads of the frames that come, in any cut, and remembers the last few such streams.

#include <stddef.h>
#include <stdint.h>

enum { ORDER_HEAD = 9, ORDER_PREFACE = 24, ORDER_RESETS = 16, ORDER_GAPS = 4 };

struct grpc_order {
    size_t skip;                       // bytes until the next frame's head
    size_t have;                       // bytes of that head
    uint8_t head[ORDER_HEAD];
    uint32_t highest;                  // number of a request so far
    uint32_t resets[ORDER_RESETS];     // streams that the peer reset last
    size_t reset_count;
    struct { uint32_t first, last; } gaps[ORDER_GAPS];  // numbers that were passed over last
    size_t gap_count;
};

void grpc_order_init(struct grpc_order *order);  // before the preface
// Looks at what came next. 0: all is well; otherwise the HTTP/2 error code of the connection, and nothing more is looked at.
// *size becomes how many bytes came before the head of the frame that is wrong.
uint32_t grpc_order_check(struct grpc_order *order, const uint8_t *bytes, size_t *size);
