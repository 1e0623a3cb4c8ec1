// The memory of a ring: one anonymous file, mapped twice.
#include "ring.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

int ring_init(struct ring *ring, size_t size)
{
    size_t rounded = (size_t)sysconf(_SC_PAGESIZE);
    while (rounded < size)
        rounded *= 2;
    int file = memfd_create("beliefd-log", MFD_CLOEXEC);
    if (file < 0)
        return -ENOMEM;
    uint8_t *bytes = MAP_FAILED;
    if (ftruncate(file, (off_t)rounded) == 0)
        bytes = mmap(NULL, 2 * rounded, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (int half = 0; half < 2 && bytes != MAP_FAILED; half++) {
        if (mmap(bytes + (size_t)half * rounded, rounded, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, file, 0) ==
            MAP_FAILED) {
            munmap(bytes, 2 * rounded);
            bytes = MAP_FAILED;
        }
    }
    close(file);
    if (bytes == MAP_FAILED)
        return -ENOMEM;
    ring->bytes = bytes;
    ring->size = rounded;
    ring->seen_tail = 0;
    atomic_init(&ring->head, 0);
    atomic_init(&ring->tail, 0);
    return 0;
}

void ring_release(struct ring *ring)
{
    if (ring->bytes)
        munmap(ring->bytes, 2 * ring->size);
    ring->bytes = NULL;
}
