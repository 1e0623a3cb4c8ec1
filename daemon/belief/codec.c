// A belief as bytes, little-endian, one way to write each belief:
//
//     0   4  "BELF"
//     4   2  version, 1
//     6   2  fraction bits of the fixed point, 24
//     8   4  D
//     12  4  d
//     16  8  count
//     24  16 digest, two words
//     40  16 per entry of the packed triangle, column after column: 128-bit two's complement
//
// Bytes come from clients and old disks, so decoding believes nothing: besides form and digest it checks that
// the sums can be those of `count` transitions within their bounds, which also keeps later arithmetic in range.

#include "digest.h"
#include "little.h"

#include <errno.h>
#include <string.h>

enum { VERSION = 1, HEADER_SIZE = 40, ENTRY_SIZE = 16 };
static const uint8_t MAGIC[4] = {'B', 'E', 'L', 'F'};

size_t belief_encoded_size(size_t features, size_t targets)
{
    return HEADER_SIZE + ENTRY_SIZE * belief_entries(features, targets);
}

void belief_encode(uint8_t *out, const struct belief *belief)
{
    memcpy(out, MAGIC, sizeof MAGIC);
    little_put(out + 4, VERSION, 2);
    little_put(out + 6, BELIEF_FRACTION_BITS, 2);
    little_put(out + 8, belief->features, 4);
    little_put(out + 12, belief->targets, 4);
    little_put(out + 16, belief->count, 8);
    little_put(out + 24, belief->digest.word[0], 8);
    little_put(out + 32, belief->digest.word[1], 8);
    size_t entries = belief_entries(belief->features, belief->targets);
    for (size_t i = 0; i < entries; i++) {
        little_put(out + HEADER_SIZE + ENTRY_SIZE * i, belief->low[i], 8);
        // In memory the low word carries a sign of its own, here the whole number does.
        little_put(out + HEADER_SIZE + ENTRY_SIZE * i + 8, (uint64_t)belief->high[i] - (belief->low[i] >> 63), 8);
    }
}

// Can this entry be a sum of `count` products z_r z_c?
static int possible(uint64_t low, int64_t high, uint64_t count, int diagonal, int target_r, int target_c)
{
    __int128 value = (__int128)((unsigned __int128)(uint64_t)high << 64 | low);
    // |z| <= 2^24, or 32 2^24 = 2^29 for a target.
    int bits = 2 * BELIEF_FRACTION_BITS + 5 * (target_r + target_c);
    __int128 bound = (__int128)count << bits;
    return value <= bound && value >= (diagonal ? 0 : -bound);
}

int belief_decode(struct belief *belief, const uint8_t *bytes, size_t size)
{
    if (size < 6 || memcmp(bytes, MAGIC, sizeof MAGIC))
        return -EBADMSG;
    if (little_get(bytes + 4, 2) != VERSION)
        return -ENOTSUP;
    if (size < HEADER_SIZE || little_get(bytes + 6, 2) != BELIEF_FRACTION_BITS)
        return -EBADMSG;
    uint64_t D = little_get(bytes + 8, 4), d = little_get(bytes + 12, 4);
    if (D > BELIEF_FEATURES_LIMIT || d > BELIEF_TARGETS_LIMIT || size != belief_encoded_size(D, d))
        return -EBADMSG;
    if (D != belief->features || d != belief->targets)
        return -EINVAL;

    uint64_t count = little_get(bytes + 16, 8);
    if (count > BELIEF_COUNT_LIMIT)
        return -EBADMSG;
    struct digest claimed = {{little_get(bytes + 24, 8), little_get(bytes + 32, 8)}}, digest = digest_of_count(count);
    const uint8_t *entry = bytes + HEADER_SIZE;
    for (size_t c = 0; c < D + d; c++) {
        for (size_t r = c; r < D + d; r++, entry += ENTRY_SIZE) {
            uint64_t low = little_get(entry, 8);
            int64_t high = (int64_t)little_get(entry + 8, 8);
            if (!possible(low, high, count, r == c, r >= D, c >= D))
                return -EBADMSG;
            digest = digest_sum(digest, digest_of_entry(r, c, low, high + (int64_t)(low >> 63)));
        }
    }
    if (!digest_equal(digest, claimed))
        return -EBADMSG;

    belief->count = count;
    belief->digest = digest;
    belief->wide = 0;
    entry = bytes + HEADER_SIZE;
    for (size_t i = 0; i < belief_entries(D, d); i++, entry += ENTRY_SIZE) {
        belief->low[i] = little_get(entry, 8);
        belief->high[i] = (int64_t)(little_get(entry + 8, 8) + (belief->low[i] >> 63));
        belief->wide |= belief->high[i] != 0;
    }
    return 0;
}
