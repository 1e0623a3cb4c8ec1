// The order of streams; the contract is in grpc_order.h.
#include "grpc_order.h"

#include <nghttp2/nghttp2.h>

#include <string.h>

void grpc_order_init(struct grpc_order *order)
{
    *order = (struct grpc_order){.skip = ORDER_PREFACE};
}

static int was_reset(const struct grpc_order *order, uint32_t stream)
{
    for (size_t i = 0; i < ORDER_RESETS; i++)
        if (order->resets[i] == stream)
            return 1;
    return 0;
}

static int was_passed_over(const struct grpc_order *order, uint32_t stream)
{
    for (size_t i = 0; i < ORDER_GAPS; i++)
        if (stream >= order->gaps[i].first && stream <= order->gaps[i].last)
            return 1;
    return 0;
}

static void begin_request(struct grpc_order *order, uint32_t stream)
{
    uint32_t next = order->highest ? order->highest + 2 : 1;
    if (stream > next) {
        size_t i = order->gap_count++ % ORDER_GAPS;
        order->gaps[i].first = next;
        order->gaps[i].last = stream - 1;
    }
    order->highest = stream;
}

static uint32_t check_head(struct grpc_order *order)
{
    const uint8_t *head = order->head;
    uint8_t type = head[3];
    uint32_t stream = (uint32_t)(head[5] & 0x7f) << 24 | (uint32_t)head[6] << 16 | (uint32_t)head[7] << 8 | head[8];
    if (stream == 0 || (type != NGHTTP2_HEADERS && type != NGHTTP2_DATA && type != NGHTTP2_RST_STREAM))
        return 0;
    if (type == NGHTTP2_RST_STREAM) {
        if (stream <= order->highest)
            order->resets[order->reset_count++ % ORDER_RESETS] = stream;
    } else if (was_reset(order, stream)) {
        return NGHTTP2_STREAM_CLOSED;
    } else if (type == NGHTTP2_HEADERS && stream > order->highest) {
        begin_request(order, stream);
    } else if (type == NGHTTP2_HEADERS && was_passed_over(order, stream)) {
        return NGHTTP2_PROTOCOL_ERROR;
    }
    return 0;
}

uint32_t grpc_order_check(struct grpc_order *order, const uint8_t *bytes, size_t *size)
{
    size_t at = 0, end = *size;
    while (at < end) {
        size_t want = order->skip ? order->skip : ORDER_HEAD - order->have;
        size_t now = want < end - at ? want : end - at;
        if (order->skip) {
            order->skip -= now;
            at += now;
            continue;
        }
        memcpy(order->head + order->have, bytes + at, now);
        order->have += now;
        at += now;
        if (order->have < ORDER_HEAD)
            break;
        uint32_t error = check_head(order);
        if (error) {
            *size = at - now;
            return error;
        }
        order->have = 0;
        order->skip = (size_t)order->head[0] << 16 | (size_t)order->head[1] << 8 | order->head[2];
    }
    return 0;
}
