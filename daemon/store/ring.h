#pragma once
// Bytes from one thread to another without a lock: one thread puts, one takes. The memory is mapped twice,
// one mapping behind the other, so that a record is always in one piece, even where the ring closes.
//
// Positions count bytes since the start and never wrap; place = position modulo size.

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

enum { RING_LINE = 64 };            // bytes of a cache line: what two threads write lies on two

struct ring {
    uint8_t *bytes;                 // (2 size), the second half is the first again
    size_t size;                    // a power of two
    _Alignas(RING_LINE) _Atomic uint64_t head;  // written up to here, by who puts
    uint64_t seen_tail;             // what who puts knows of tail
    _Alignas(RING_LINE) _Atomic uint64_t tail;  // taken up to here, by who takes
};

// The size is rounded up to a power of two, at least a page. -ENOMEM.
int ring_init(struct ring *ring, size_t size);
void ring_release(struct ring *ring);

// Where `size` bytes can be written, or NULL: no room. They are there for the other side after ring_publish.
static inline uint8_t *ring_room(struct ring *ring, size_t size)
{
    uint64_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
    if (size > ring->size - (head - ring->seen_tail)) {
        ring->seen_tail = atomic_load_explicit(&ring->tail, memory_order_acquire);
        if (size > ring->size - (head - ring->seen_tail))
            return NULL;
    }
    return ring->bytes + (head & (ring->size - 1));
}

// Returns the position behind what was written. Sequentially consistent, because the other side may be about
// to fall asleep: either it sees these bytes or we see that it sleeps.
static inline uint64_t ring_publish(struct ring *ring, size_t size)
{
    uint64_t head = atomic_load_explicit(&ring->head, memory_order_relaxed) + size;
    atomic_store_explicit(&ring->head, head, memory_order_seq_cst);
    return head;
}

static inline const uint8_t *ring_at(const struct ring *ring, uint64_t position)
{
    return ring->bytes + (position & (ring->size - 1));
}

static inline uint64_t ring_head(const struct ring *ring)
{
    return atomic_load_explicit(&ring->head, memory_order_seq_cst);
}

static inline uint64_t ring_tail(const struct ring *ring)
{
    return atomic_load_explicit(&ring->tail, memory_order_acquire);
}

// Everything before the position may be written over.
static inline void ring_take(struct ring *ring, uint64_t position)
{
    atomic_store_explicit(&ring->tail, position, memory_order_release);
}
