// Sums, digests and their encoding.

#include "scenario.h"
#include "tests/support/suite.h"

#include <errno.h>
#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { D = 7, DIMS = 3, P = D + DIMS, COUNT = 24 };

static struct scenario new_scenario(uint64_t seed)
{
    struct scenario s;
    scenario_init(&s, &(struct scenario_options){.D = D, .d = DIMS, .rows_limit = 1, .seed = seed, .noise = 0.3, .mean = 0.2});
    return s;
}

static const int32_t *nth(const int32_t *z, size_t i) { return z + i * kernel_padded(P); }

static void shuffle(size_t *order, size_t count, struct random_stream *stream)
{
    for (size_t i = 0; i < count; i++)
        order[i] = i;
    for (size_t i = count; i > 1; i--) {
        size_t j = random_below(stream, (uint32_t)i), other = order[j];
        order[j] = order[i - 1];
        order[i - 1] = other;
    }
}

static void assert_same_posterior(struct scenario *s, const struct belief *a, const struct belief *b)
{
    unsigned parts = POSTERIOR_MEAN | POSTERIOR_SCALE | POSTERIOR_VARIANCE;
    double mean[D * DIMS], scale[DIMS * DIMS], variance[D];
    ck_assert_int_eq(posterior_solve(&s->posterior, s->prior, a, parts, NULL, 0), 0);
    memcpy(mean, s->posterior.mean, sizeof mean);
    memcpy(scale, s->posterior.scale, sizeof scale);
    memcpy(variance, s->posterior.variance, sizeof variance);
    ck_assert_int_eq(posterior_solve(&s->posterior, s->prior, b, parts, NULL, 0), 0);
    ck_assert_mem_eq(mean, s->posterior.mean, sizeof mean);
    ck_assert_mem_eq(scale, s->posterior.scale, sizeof scale);
    ck_assert_mem_eq(variance, s->posterior.variance, sizeof variance);
}

static void assert_equal(struct scenario *s, const struct belief *a, const struct belief *b)
{
    ck_assert_uint_eq(a->count, b->count);
    ck_assert_uint_eq(a->digest.word[0], b->digest.word[0]);
    ck_assert_uint_eq(a->digest.word[1], b->digest.word[1]);
    ck_assert_mem_eq(a->low, b->low, belief_entries(D, DIMS) * sizeof *a->low);
    ck_assert_mem_eq(a->high, b->high, belief_entries(D, DIMS) * sizeof *a->high);
    ck_assert(belief_equal(a, b));
    assert_same_posterior(s, a, b);
}

START_TEST(rounding_is_to_nearest_even)
{
    const float features[4] = {0.5f * 0x1p-24f, 1.5f * 0x1p-24f, -2.5f * 0x1p-24f, 1};
    const double targets[5] = {0.5000001 * 0x1p-24, -32, 32, 3.5 * 0x1p-24, -0.0};
    int32_t z[16];
    size_t where;
    memset(z, 0x55, sizeof z);
    ck_assert_int_eq(belief_round(z, &where, features, 4, targets, 5), 0);
    const int32_t expected[16] = {0, 2, -2, 1 << 24, 1, -(1 << 29), 1 << 29, 4, 0};
    for (int i = 0; i < 16; i++)
        ck_assert_msg(z[i] == expected[i], "z[%d] is %" PRId32 ", not %" PRId32, i, z[i], expected[i]);
}
END_TEST

START_TEST(what_is_out_of_range_is_named_and_nothing_is_written)
{
    const double bad_targets[] = {NAN, INFINITY, -INFINITY, nextafter(32, 33), -33, 1e300};
    const float bad_features[] = {NAN, INFINITY, -INFINITY, 1 + FLT_EPSILON, -2, 1e30f};
    for (size_t i = 0; i < 6; i++) {
        for (size_t at = 0; at < P; at++) {
            float features[D] = {0};
            double targets[DIMS] = {0};
            if (at < D)
                features[at] = bad_features[i];
            else
                targets[at - D] = bad_targets[i];
            int32_t z[16], before[16];
            memset(z, 0x55, sizeof z);
            memcpy(before, z, sizeof z);
            size_t where = 999;
            ck_assert_int_eq(belief_round(z, &where, features, D, targets, DIMS), i < 3 ? -EDOM : -ERANGE);
            ck_assert_uint_eq(where, at);
            ck_assert_mem_eq(z, before, sizeof z);
        }
    }
}
END_TEST

// S against products in 128 bits, one entry at a time.
static __int128 entry_of(const struct belief *belief, size_t entry)
{
    return (__int128)belief->high[entry] * ((__int128)1 << 64) + (int64_t)belief->low[entry];
}

START_TEST(the_sum_is_the_sum_of_products)
{
    struct scenario s = new_scenario(1);
    int32_t *z = scenario_draw_many(&s, COUNT);
    for (size_t i = 0; i < COUNT; i++)
        belief_add(&s.belief, nth(z, i));
    size_t entry = 0;
    for (size_t c = 0; c < P; c++) {
        for (size_t r = c; r < P; r++, entry++) {
            __int128 sum = 0;
            for (size_t i = 0; i < COUNT; i++)
                sum += (__int128)nth(z, i)[r] * nth(z, i)[c];
            ck_assert(sum == entry_of(&s.belief, entry));
        }
    }
    free(z);
    scenario_release(&s);
}
END_TEST

START_TEST(any_order_any_split_any_detour_gives_one_belief)
{
    struct scenario s = new_scenario(2);
    int32_t *z = scenario_draw_many(&s, COUNT);
    for (size_t i = 0; i < COUNT; i++)
        belief_add(&s.belief, nth(z, i));
    struct belief parts[3], extra = new_belief(D, DIMS);
    for (int k = 0; k < 3; k++)
        parts[k] = new_belief(D, DIMS);
    struct random_stream stream = random_stream(3, 0, 0, 0);
    for (int round = 0; round < 1000; round++) {
        size_t order[COUNT], detour[COUNT];
        shuffle(order, COUNT, &stream);
        shuffle(detour, COUNT, &stream);
        for (int k = 0; k < 3; k++)
            belief_reset(&parts[k]);
        belief_reset(&extra);
        // Each transition by one of three writers, some of them twice and then taken back ...
        for (size_t i = 0; i < COUNT; i++) {
            struct belief *writer = &parts[random_below(&stream, 3)];
            belief_add(writer, nth(z, order[i]));
            if (random_below(&stream, 2)) {
                belief_add(writer, nth(z, detour[i]));
                ck_assert_int_eq(belief_remove(writer, nth(z, detour[i])), 0);
            }
            if (random_below(&stream, 4) == 0) {
                // ... one by one, or as a whole.
                belief_add(&extra, nth(z, detour[i]));
                belief_add(writer, nth(z, detour[i]));
            }
        }
        int first = (int)random_below(&stream, 3);
        for (int k = 1; k < 3; k++)
            ck_assert_int_eq(belief_merge(&parts[first], &parts[(first + k) % 3]), 0);
        ck_assert_int_eq(belief_subtract(&parts[first], &extra), 0);
        assert_equal(&s, &parts[first], &s.belief);
    }
    for (int k = 0; k < 3; k++)
        free(parts[k].low);
    free(extra.low);
    free(z);
    scenario_release(&s);
}
END_TEST

START_TEST(taking_everything_back_leaves_nothing)
{
    struct scenario s = new_scenario(4);
    int32_t *z = scenario_draw_many(&s, COUNT);
    struct belief empty = new_belief(D, DIMS), copy = new_belief(D, DIMS);
    for (size_t i = 0; i < COUNT; i++)
        belief_add(&s.belief, nth(z, i));
    belief_copy(&copy, &s.belief);
    assert_equal(&s, &copy, &s.belief);
    for (size_t i = 0; i < COUNT; i++)
        ck_assert_int_eq(belief_remove(&s.belief, nth(z, COUNT - 1 - i)), 0);
    assert_equal(&s, &s.belief, &empty);
    ck_assert_int_eq(belief_remove(&s.belief, z), -EINVAL);
    assert_equal(&s, &s.belief, &empty);
    belief_reset(&copy);
    assert_equal(&s, &copy, &empty);
    free(empty.low), free(copy.low), free(z);
    scenario_release(&s);
}
END_TEST

START_TEST(merging_and_subtracting_refuse_what_does_not_fit)
{
    struct scenario s = new_scenario(5);
    struct belief other = new_belief(D + 1, DIMS - 1), more = new_belief(D, DIMS), before = new_belief(D, DIMS);
    int32_t z[16];
    scenario_draw(&s, z);
    belief_add(&s.belief, z);
    belief_copy(&before, &s.belief);
    ck_assert_int_eq(belief_merge(&s.belief, &other), -EINVAL);
    ck_assert_int_eq(belief_subtract(&s.belief, &other), -EINVAL);
    belief_add(&more, z);
    belief_add(&more, z);
    ck_assert_int_eq(belief_subtract(&s.belief, &more), -EINVAL);
    more.count = BELIEF_COUNT_LIMIT;
    ck_assert_int_eq(belief_merge(&s.belief, &more), -EINVAL);
    ck_assert(belief_equal(&s.belief, &before));
    ck_assert(!belief_equal(&s.belief, &other));
    free(other.low), free(more.low), free(before.low);
    scenario_release(&s);
}
END_TEST

START_TEST(the_largest_transitions_sum_exactly)
{
    struct belief belief = new_belief(D, DIMS);
    int32_t z[16] = {0};
    for (size_t i = 0; i < P; i++)
        z[i] = (i % 2 ? -1 : 1) * (i < D ? 1 << 24 : 1 << 29);
    for (int i = 0; i < 1000; i++)
        belief_add(&belief, z);
    struct digest digest = belief_digest(&belief);
    ck_assert(digest_equal(digest, belief.digest));
    // The last entry of the packed triangle is 1000 2^58.
    size_t last = belief_entries(D, DIMS) - 1;
    ck_assert(entry_of(&belief, last) == (__int128)1000 << 58);
    ck_assert(belief.wide);
    free(belief.low);
}
END_TEST

START_TEST(the_digest_follows_from_the_sum_alone)
{
    const size_t dimensions[][2] = {{1, 1}, {7, 3}, {16, 20}, {33, 39}, {256, 256}};
    for (size_t k = 0; k < 5; k++) {
        struct scenario s;
        scenario_init(&s, &(struct scenario_options){.D = dimensions[k][0], .d = dimensions[k][1], .seed = k, .noise = 1,
                                                     .precision = 1, .scale = 1});
        int32_t *z = scenario_draw_many(&s, 5);
        for (size_t i = 0; i < 5; i++) {
            ck_assert(digest_equal(belief_digest(&s.belief), s.belief.digest));
            belief_add(&s.belief, z + i * kernel_padded(s.P));
        }
        ck_assert(digest_equal(belief_digest(&s.belief), s.belief.digest));
        ck_assert_int_eq(belief_remove(&s.belief, z + kernel_padded(s.P)), 0);
        ck_assert(digest_equal(belief_digest(&s.belief), s.belief.digest));
        free(z);
        scenario_release(&s);
    }
}
END_TEST

START_TEST(every_flipped_bit_shows_in_the_digest)
{
    struct scenario s = new_scenario(6);
    int32_t *z = scenario_draw_many(&s, COUNT);
    for (size_t i = 0; i < COUNT; i++)
        belief_add(&s.belief, nth(z, i));
    for (size_t entry = 0; entry < belief_entries(D, DIMS); entry++) {
        for (int bit = 0; bit < 64; bit++) {
            s.belief.low[entry] ^= (uint64_t)1 << bit;
            ck_assert(!digest_equal(belief_digest(&s.belief), s.belief.digest));
            s.belief.low[entry] ^= (uint64_t)1 << bit;
            uint64_t high = (uint64_t)s.belief.high[entry];
            s.belief.high[entry] = (int64_t)(high ^ (uint64_t)1 << bit);
            ck_assert(!digest_equal(belief_digest(&s.belief), s.belief.digest));
            s.belief.high[entry] = (int64_t)high;
        }
    }
    for (int bit = 0; bit < 64; bit++) {
        s.belief.count ^= (uint64_t)1 << bit;
        ck_assert(!digest_equal(belief_digest(&s.belief), s.belief.digest));
        s.belief.count ^= (uint64_t)1 << bit;
    }
    ck_assert(digest_equal(belief_digest(&s.belief), s.belief.digest));
    free(z);
    scenario_release(&s);
}
END_TEST

// Digests are written to logs and compared between machines and years: they may never change.
START_TEST(the_digest_of_a_known_belief_is_what_it_was)
{
    struct belief belief = new_belief(2, 1);
    int32_t z[16] = {1 << 24, -5, 7};
    belief_add(&belief, z);
    ck_assert_uint_eq(belief.digest.word[0], UINT64_C(1969353215672023482));
    ck_assert_uint_eq(belief.digest.word[1], UINT64_C(107947182275553683));
    free(belief.low);
}
END_TEST

START_TEST(encoding_and_decoding_gives_the_belief_back)
{
    struct scenario s = new_scenario(7);
    size_t size = belief_encoded_size(D, DIMS);
    uint8_t *bytes = malloc(size), *again = malloc(size);
    struct belief decoded = new_belief(D, DIMS);
    int32_t z[16];
    for (int i = 0; i < 5; i++) {
        belief_encode(bytes, &s.belief);
        scenario_draw(&s, z);
        belief_add(&decoded, z);
        ck_assert_int_eq(belief_decode(&decoded, bytes, size), 0);
        assert_equal(&s, &decoded, &s.belief);
        belief_encode(again, &decoded);
        ck_assert_mem_eq(bytes, again, size);
        belief_add(&s.belief, z);
    }
    free(bytes), free(again), free(decoded.low);
    scenario_release(&s);
}
END_TEST

START_TEST(damaged_encodings_are_refused_and_change_nothing)
{
    struct scenario s = new_scenario(8);
    size_t size = belief_encoded_size(D, DIMS);
    uint8_t *bytes = malloc(size + 1);
    struct belief decoded = new_belief(D, DIMS), before = new_belief(D, DIMS);
    int32_t z[16];
    for (int i = 0; i < 5; i++) {
        scenario_draw(&s, z);
        belief_add(&s.belief, z);
    }
    belief_add(&decoded, z);
    belief_copy(&before, &decoded);
    belief_encode(bytes, &s.belief);
    for (size_t cut = 0; cut < size; cut++) {
        // Exactly as many bytes as there are, so that reading beyond them shows.
        uint8_t *part = malloc(cut ? cut : 1);
        memcpy(part, bytes, cut);
        ck_assert_int_eq(belief_decode(&decoded, part, cut), -EBADMSG);
        free(part);
    }
    bytes[size] = 0;
    ck_assert_int_eq(belief_decode(&decoded, bytes, size + 1), -EBADMSG);
    for (size_t bit = 0; bit < 8 * size; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        int error = belief_decode(&decoded, bytes, size);
        size_t byte = bit / 8;
        ck_assert_msg(error == (byte == 4 || byte == 5 ? -ENOTSUP : -EBADMSG), "bit %zu: %d", bit, error);
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    ck_assert(belief_equal(&decoded, &before));

    struct belief other = new_belief(D + 1, DIMS);
    ck_assert_int_eq(belief_decode(&other, bytes, size), -EINVAL);
    ck_assert_int_eq(belief_decode(&decoded, bytes, size), 0);
    free(bytes), free(decoded.low), free(before.low), free(other.low);
    scenario_release(&s);
}
END_TEST

// Digests can be computed by anybody; sums that no transitions give are refused all the same.
START_TEST(impossible_sums_are_refused)
{
    size_t size = belief_encoded_size(D, DIMS);
    uint8_t *bytes = malloc(size);
    struct belief belief = new_belief(D, DIMS), decoded = new_belief(D, DIMS);
    struct { uint64_t count; size_t entry; __int128 value; int error; } cases[] = {
        {1, 0, (__int128)1 << 48, 0},
        {1, 0, ((__int128)1 << 48) + 1, -EBADMSG},          // above what one feature can be
        {1, 0, -1, -EBADMSG},                               // a negative square
        {1, 1, -((__int128)1 << 48), 0},
        {1, 1, -((__int128)1 << 48) - 1, -EBADMSG},
        {1, D, ((__int128)1 << 53), 0},                     // feature times target
        {1, D, ((__int128)1 << 53) + 1, -EBADMSG},
        {1, belief_entries(D, DIMS) - 1, (__int128)1 << 58, 0},
        {1, belief_entries(D, DIMS) - 1, ((__int128)1 << 58) + 1, -EBADMSG},
        {0, 5, 1, -EBADMSG},                                // something of nothing
        {BELIEF_COUNT_LIMIT, 1, 0, 0},
        {BELIEF_COUNT_LIMIT + 1, 1, 0, -EBADMSG},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        belief_reset(&belief);
        belief.count = cases[i].count;
        belief.low[cases[i].entry] = (uint64_t)cases[i].value;
        belief.high[cases[i].entry] = (int64_t)((cases[i].value - (int64_t)cases[i].value) >> 64);
        belief.digest = belief_digest(&belief);
        belief_encode(bytes, &belief);
        ck_assert_msg(belief_decode(&decoded, bytes, size) == cases[i].error, "case %zu", i);
    }
    free(bytes), free(belief.low), free(decoded.low);
}
END_TEST

START_TEST(noise_is_not_a_belief)
{
    struct random_stream stream = random_stream(9, 0, 0, 0);
    size_t size = belief_encoded_size(D, DIMS);
    uint8_t *bytes = malloc(size);
    struct belief decoded = new_belief(D, DIMS);
    for (int round = 0; round < 2000; round++) {
        for (size_t i = 0; i < size; i++)
            bytes[i] = (uint8_t)random_bits(&stream);
        if (round % 2) {
            // A good header before rubbish.
            belief_encode(bytes, &decoded);
            for (size_t i = 16; i < size; i++)
                bytes[i] = (uint8_t)random_bits(&stream);
        }
        ck_assert_int_eq(belief_decode(&decoded, bytes, size), -EBADMSG);
    }
    free(bytes), free(decoded.low);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("belief");
    SUITE_TEST(suite, rounding_is_to_nearest_even);
    SUITE_TEST(suite, what_is_out_of_range_is_named_and_nothing_is_written);
    SUITE_TEST(suite, the_sum_is_the_sum_of_products);
    SUITE_TEST(suite, any_order_any_split_any_detour_gives_one_belief);
    SUITE_TEST(suite, taking_everything_back_leaves_nothing);
    SUITE_TEST(suite, merging_and_subtracting_refuse_what_does_not_fit);
    SUITE_TEST(suite, the_largest_transitions_sum_exactly);
    SUITE_TEST(suite, the_digest_follows_from_the_sum_alone);
    SUITE_TEST(suite, every_flipped_bit_shows_in_the_digest);
    SUITE_TEST(suite, the_digest_of_a_known_belief_is_what_it_was);
    SUITE_TEST(suite, encoding_and_decoding_gives_the_belief_back);
    SUITE_TEST(suite, damaged_encodings_are_refused_and_change_nothing);
    SUITE_TEST(suite, impossible_sums_are_refused);
    SUITE_TEST(suite, noise_is_not_a_belief);
    return suite_finish(suite);
}
