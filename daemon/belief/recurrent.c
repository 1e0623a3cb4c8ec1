// States, their digest and their bytes; the contract is in recurrent.h.

#include "recurrent.h"

#include "daemon/linalg/kernels.h"
#include "digest.h"
#include "little.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <string.h>

enum { VERSION = 1, HEADER_SIZE = 48 };
static const uint8_t MAGIC[4] = {'B', 'E', 'L', 'R'};

size_t recurrent_size(size_t width) { return kernel_padded(width) * sizeof(float); }

void recurrent_init(struct recurrent *recurrent, size_t width, void *memory)
{
    assert(width <= RECURRENT_WIDTH_LIMIT);
    digest_prepare();
    *recurrent = (struct recurrent){.width = width, .state = memory};
    recurrent_reset(recurrent);
}

void recurrent_reset(struct recurrent *recurrent)
{
    recurrent->count = recurrent->through = 0;
    recurrent->digest = (struct digest){{0}};
    memset(recurrent->state, 0, recurrent_size(recurrent->width));
}

struct digest recurrent_digest(const struct recurrent *recurrent)
{
    return digest_of_state(recurrent->count, recurrent->through, recurrent->state, recurrent->width);
}

void recurrent_advance(struct recurrent *recurrent, const float *state, uint64_t number)
{
    assert(number > recurrent->through);
    memcpy(recurrent->state, state, recurrent->width * sizeof *state);
    recurrent->count++;
    recurrent->through = number;
    recurrent->digest = recurrent_digest(recurrent);
}

void recurrent_restore(struct recurrent *recurrent, const struct recurrent *before)
{
    memcpy(recurrent->state, before->state, recurrent->width * sizeof *recurrent->state);
    recurrent->count = before->count;
    recurrent->through = before->through;
    recurrent->digest = before->digest;
}

size_t recurrent_encoded_size(size_t width) { return HEADER_SIZE + sizeof(float) * width; }

void recurrent_encode(uint8_t *out, const struct recurrent *recurrent)
{
    memcpy(out, MAGIC, sizeof MAGIC);
    little_put(out + 4, VERSION, 2);
    little_put(out + 6, 0, 2);
    little_put(out + 8, recurrent->width, 4);
    little_put(out + 12, 0, 4);
    little_put(out + 16, recurrent->count, 8);
    little_put(out + 24, recurrent->through, 8);
    little_put(out + 32, recurrent->digest.word[0], 8);
    little_put(out + 40, recurrent->digest.word[1], 8);
    for (size_t i = 0; i < recurrent->width; i++) {
        uint32_t bits;
        memcpy(&bits, &recurrent->state[i], sizeof bits);
        little_put(out + HEADER_SIZE + sizeof bits * i, bits, sizeof bits);
    }
}

static float get_float(const uint8_t *in)
{
    uint32_t bits = (uint32_t)little_get(in, sizeof bits);
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

int recurrent_decode(struct recurrent *recurrent, const uint8_t *bytes, size_t size)
{
    if (size < 6 || memcmp(bytes, MAGIC, sizeof MAGIC))
        return -EBADMSG;
    if (little_get(bytes + 4, 2) != VERSION)
        return -ENOTSUP;
    if (size < HEADER_SIZE || little_get(bytes + 6, 2) != 0 || little_get(bytes + 12, 4) != 0)
        return -EBADMSG;
    uint64_t width = little_get(bytes + 8, 4);
    if (width < 1 || width > RECURRENT_WIDTH_LIMIT || size != recurrent_encoded_size(width))
        return -EBADMSG;
    if (width != recurrent->width)
        return -EINVAL;

    float state[RECURRENT_WIDTH_LIMIT];
    uint64_t count = little_get(bytes + 16, 8), through = little_get(bytes + 24, 8);
    int is_zero = 1;
    for (size_t i = 0; i < width; i++) {
        state[i] = get_float(bytes + HEADER_SIZE + sizeof(float) * i);
        if (!(fabsf(state[i]) <= 1))
            return -EBADMSG;
        is_zero &= state[i] == 0;
    }
    // Numbers ascend from 1, so no fewer than `count` of them reach `through`; and nothing comes of nothing.
    if (count > through || (count == 0 && (through != 0 || !is_zero)))
        return -EBADMSG;
    struct digest claimed = {{little_get(bytes + 32, 8), little_get(bytes + 40, 8)}};
    if (!digest_equal(claimed, digest_of_state(count, through, state, width)))
        return -EBADMSG;

    recurrent->count = count;
    recurrent->through = through;
    recurrent->digest = claimed;
    memcpy(recurrent->state, state, width * sizeof *state);
    return 0;
}
