// The digest: for k = 0, 1 a bilinear form u_k' S v_k of the sums plus w_k times the count, modulo the
// Mersenne prime p = 2^61 - 1.
//
// Coefficients are pseudo-random residues from Philox with a fixed key, so they are the same everywhere and
// need no table in the source: number i of vector v is the i-th pair of words of random_stream(KEY, v, 0, 0).
// Linear in (S, count), therefore adding, removing, merging and subtracting work on digests alone.

#include "digest.h"

#include "daemon/base/random.h"

#include <pthread.h>
#include <string.h>

static const uint64_t KEY = 0x62656c6965660001;  // "belief", 0, 1: the first choice of coefficients
static const uint64_t PRIME = ((uint64_t)1 << 61) - 1;

enum { LENGTH = BELIEF_FEATURES_LIMIT + BELIEF_TARGETS_LIMIT, PAIRS = 2 };

static struct {
    uint64_t u[PAIRS][LENGTH], v[PAIRS][LENGTH];  // of each pair, residues
    uint64_t w[PAIRS];                            // multiples of the count, not zero
} coefficient;
static pthread_once_t once = PTHREAD_ONCE_INIT;

// x mod p, for x < 2^122.
static uint64_t reduce(unsigned __int128 x)
{
    uint64_t folded = (uint64_t)(x & PRIME) + (uint64_t)(x >> 61);
    folded = (folded & PRIME) + (folded >> 61);
    return folded >= PRIME ? folded - PRIME : folded;
}

static uint64_t add(uint64_t a, uint64_t b)
{
    uint64_t sum = a + b;
    return sum >= PRIME ? sum - PRIME : sum;
}

static uint64_t negate(uint64_t a) { return a ? PRIME - a : 0; }

static uint64_t multiply(uint64_t a, uint64_t b) { return reduce((unsigned __int128)a * b); }

static uint64_t residue(int64_t x)
{
    return x < 0 ? negate(reduce(-(uint64_t)x)) : reduce((uint64_t)x);
}

// high 2^64 + low, and 2^64 = 8 mod p.
static uint64_t residue_of_words(uint64_t low, int64_t high)
{
    return add(residue((int64_t)low), multiply(residue(high), 8));
}

static uint64_t draw(struct random_stream *stream)
{
    uint64_t high = random_bits(stream), low = random_bits(stream);
    return reduce((high << 32 | low) >> 3);
}

static void make_coefficients(void)
{
    for (uint32_t pair = 0; pair < PAIRS; pair++) {
        struct random_stream u = random_stream(KEY, 2 * pair, 0, 0), v = random_stream(KEY, 2 * pair + 1, 0, 0);
        for (size_t i = 0; i < LENGTH; i++) {
            coefficient.u[pair][i] = draw(&u);
            coefficient.v[pair][i] = draw(&v);
        }
        struct random_stream w = random_stream(KEY, 2 * PAIRS + pair, 0, 0);
        do
            coefficient.w[pair] = draw(&w);
        while (!coefficient.w[pair]);
    }
}

void digest_prepare(void) { pthread_once(&once, make_coefficients); }

// A signed sum of residues times numbers of 30 bits, mod p. |x| < 2^101.
static uint64_t reduce_signed(__int128 x)
{
    return reduce((unsigned __int128)(x + ((__int128)PRIME << 41)));
}

struct digest digest_of_transition(const int32_t *z, size_t P)
{
    struct digest digest;
    for (size_t pair = 0; pair < PAIRS; pair++) {
        const uint64_t *u = coefficient.u[pair], *v = coefficient.v[pair];
        __int128 uz = 0, vz = 0;
        for (size_t i = 0; i < P; i++) {
            uz += (__int128)(int64_t)u[i] * z[i];
            vz += (__int128)(int64_t)v[i] * z[i];
        }
        digest.word[pair] = add(multiply(reduce_signed(uz), reduce_signed(vz)), coefficient.w[pair]);
    }
    return digest;
}

struct digest digest_sum(struct digest a, struct digest b)
{
    return (struct digest){{add(a.word[0], b.word[0]), add(a.word[1], b.word[1])}};
}

struct digest digest_difference(struct digest a, struct digest b)
{
    return (struct digest){{add(a.word[0], negate(b.word[0])), add(a.word[1], negate(b.word[1]))}};
}

int digest_equal(struct digest a, struct digest b)
{
    return a.word[0] == b.word[0] && a.word[1] == b.word[1];
}

struct digest digest_of_count(uint64_t count)
{
    return (struct digest){{multiply(coefficient.w[0], reduce(count)), multiply(coefficient.w[1], reduce(count))}};
}

struct digest digest_of_entry(size_t r, size_t c, uint64_t low, int64_t high)
{
    struct digest digest;
    for (size_t pair = 0; pair < PAIRS; pair++) {
        const uint64_t *u = coefficient.u[pair], *v = coefficient.v[pair];
        // The entry stands for itself and for its mirror image above the diagonal.
        uint64_t weight = multiply(u[r], v[c]);
        if (r != c)
            weight = add(weight, multiply(u[c], v[r]));
        digest.word[pair] = multiply(weight, residue_of_words(low, high));
    }
    return digest;
}

struct digest digest_of_state(uint64_t count, uint64_t through, const float *state, size_t width)
{
    struct digest digest = digest_of_count(count);
    for (size_t pair = 0; pair < PAIRS; pair++) {
        unsigned __int128 sum = multiply(coefficient.v[pair][0], reduce(through));
        for (size_t i = 0; i < width; i++) {
            uint32_t bits;
            memcpy(&bits, &state[i], sizeof bits);
            sum += (unsigned __int128)coefficient.u[pair][i] * bits;
        }
        digest.word[pair] = add(digest.word[pair], reduce(sum));
    }
    return digest;
}

struct digest belief_digest(const struct belief *belief)
{
    size_t P = belief->features + belief->targets, entry = 0;
    struct digest digest = digest_of_count(belief->count);
    for (size_t c = 0; c < P; c++)
        for (size_t r = c; r < P; r++, entry++)
            digest = digest_sum(digest, digest_of_entry(r, c, belief->low[entry], belief->high[entry]));
    return digest;
}
