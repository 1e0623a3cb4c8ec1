// Sums, panels and factors: every compiled set of kernels against the plain loops that define them, bit for bit, and those
// loops against arithmetic with more digits. And all that a set computes in one number.

#include "fingerprint.h"
#include "numbers.h"

#include <math.h>

// Sums

// A sum in both forms: two limbs as the kernels keep it, and the compiler's 128-bit integers.
struct sum {
    size_t P, entries;
    uint64_t *low;
    int64_t *high;
    __int128 *exact;
};

enum { GUARD = 32 };  // entries behind the last one that must stay as they are

static struct sum sum_new(size_t P)
{
    struct sum sum = {.P = P, .entries = P * (P + 1) / 2};
    sum.low = memory_new((sum.entries + GUARD) * sizeof *sum.low);
    sum.high = memory_new((sum.entries + GUARD) * sizeof *sum.high);
    sum.exact = calloc(sum.entries, sizeof *sum.exact);
    ck_assert_ptr_nonnull(sum.exact);
    memset(sum.low, 0, sum.entries * sizeof *sum.low);
    memset(sum.high, 0, sum.entries * sizeof *sum.high);
    return sum;
}

static int some_not_zero(const int64_t *high, size_t count)
{
    size_t i = 0;
    while (i < count && !high[i])
        i++;
    return i < count;
}

static void sum_free(struct sum *sum)
{
    free(sum->low);
    free(sum->high);
    free(sum->exact);
}

static void sum_add(const struct kernels *kernels, struct sum *sum, const int32_t *z, int sign)
{
    __int128 *entry = sum->exact;
    for (size_t c = 0; c < sum->P; c++)
        for (size_t r = c; r < sum->P; r++)
            *entry++ += (__int128)sign * z[r] * z[c];
    int64_t *high = malloc(sum->entries * sizeof *high);
    memcpy(high, sum->high, sum->entries * sizeof *high);
    int changed = kernels->sum_add(sum->low, sum->high, z, sum->P, sign);
    CHECK(!changed == !memcmp(high, sum->high, sum->entries * sizeof *high), "%s: P = %zu: changed %d", kernels->name,
          sum->P, changed);
    free(high);
}

// The one pair of words that means a value: the low one signed.
static __int128 words(uint64_t low, int64_t high)
{
    return (__int128)high * ((__int128)1 << 64) + (int64_t)low;
}

static void check_sum(const struct kernels *kernels, const struct sum *sum)
{
    for (size_t i = 0; i < sum->entries; i++)
        CHECK(sum->exact[i] == words(sum->low[i], sum->high[i]), "%s: P = %zu, entry %zu: %lld 2^64 + %lld",
              kernels->name, sum->P, i, (long long)sum->high[i], (long long)sum->low[i]);
    CHECK(is_untouched(sum->low + sum->entries, GUARD * sizeof *sum->low) &&
              is_untouched(sum->high + sum->entries, GUARD * sizeof *sum->high),
          "%s: P = %zu: wrote past the triangle", kernels->name, sum->P);
}

// Small ones, large ones, and the largest there are.
static void random_z(struct random_stream *stream, int32_t *z, size_t P)
{
    uint32_t kind = random_below(stream, 3);
    for (size_t i = 0; i < P; i++)
        z[i] = kind == 0   ? (int32_t)random_below(stream, 11) - 5
               : kind == 1 ? (int32_t)random_below(stream, (1u << 30) + 1) - (1 << 29)
                           : (random_below(stream, 2) ? 1 << 29 : -(1 << 29));
}

START_TEST(sums_are_exact_in_128_bits)
{
    struct random_stream stream = random_stream(7, 0, 0, 4);
    for (size_t i = 0; kernels_at(i); i++)
        for (size_t P = 1; P <= 110; P += P < 40 ? 1 : 7) {
            struct sum sum = sum_new(P);
            int32_t *z = memory_new(P * sizeof *z);
            for (int step = 0; step < 80; step++) {
                random_z(&stream, z, P);
                sum_add(kernels_at(i), &sum, z, random_below(&stream, 4) ? 1 : -1);
            }
            check_sum(kernels_at(i), &sum);
            free(z);
            sum_free(&sum);
        }
}
END_TEST

START_TEST(many_additions_of_the_largest_values_carry_into_the_high_word)
{
    enum { P = 9 };
    struct sum sum = sum_new(P);
    int32_t z[P];
    for (size_t i = 0; i < P; i++)
        z[i] = i % 2 ? 1 << 29 : -(1 << 29);
    for (size_t i = 0; kernels_at(i); i++)
        for (int step = 0; step < 1000; step++)
            sum_add(kernels_at(i), &sum, z, 1);
    check_sum(kernels_best(), &sum);
    ck_assert_int_ge(sum.high[0], 15);  // 1000 * 2^58 = 15.6 * 2^64
    ck_assert_int_le(sum.high[1], -15);
    sum_free(&sum);
}
END_TEST

START_TEST(removing_what_was_added_leaves_zero)
{
    enum { P = 52, STEPS = 100 };
    struct random_stream stream = random_stream(7, 0, 0, 5);
    for (size_t i = 0; kernels_at(i); i++) {
        struct sum sum = sum_new(P);
        int32_t z[STEPS][P];
        for (int step = 0; step < STEPS; step++) {
            random_z(&stream, z[step], P);
            kernels_at(i)->sum_add(sum.low, sum.high, z[step], P, 1);
        }
        for (int step = 0; step < STEPS; step++)
            kernels_at(i)->sum_add(sum.low, sum.high, z[step], P, -1);
        check_sum(kernels_at(i), &sum);
        sum_free(&sum);
    }
}
END_TEST

START_TEST(merging_adds_and_subtracts_all_128_bits)
{
    struct random_stream stream = random_stream(7, 0, 0, 6);
    for (size_t i = 0; kernels_at(i); i++)
        for (int round = 0; round < ROUNDS; round++) {
            struct sum sum = sum_new(1 + random_below(&stream, 12)), other = sum_new(sum.P);
            for (size_t e = 0; e < sum.entries; e++) {
                // All words at random; low words often all ones or zero, where carries live.
                struct sum *both[] = {&sum, &other};
                for (int k = 0; k < 2; k++) {
                    uint64_t low = (uint64_t)random_bits(&stream) << 32 | random_bits(&stream);
                    both[k]->low[e] = random_below(&stream, 2) ? low : 0 - (uint64_t)random_below(&stream, 2);
                    both[k]->high[e] = (int64_t)random_bits(&stream) - (1ll << 31);
                    both[k]->exact[e] = words(both[k]->low[e], both[k]->high[e]);
                }
            }
            int sign = round % 2 ? 1 : -1;
            for (size_t e = 0; e < sum.entries; e++)
                sum.exact[e] += sign * other.exact[e];
            int wide = kernels_at(i)->sum_merge(sum.low, sum.high, other.low, other.high, sum.entries, sign);
            ck_assert_int_eq(wide, some_not_zero(sum.high, sum.entries));
            check_sum(kernels_at(i), &sum);
            check_sum(kernels_at(i), &other);
            sum_free(&sum);
            sum_free(&other);
        }
}
END_TEST

START_TEST(a_panel_is_prior_plus_sum_and_touches_no_other_row)
{
    struct random_stream stream = random_stream(7, 0, 0, 7);
    for (size_t i = 0; kernels_at(i); i++)
        for (int round = 0; round < ROUNDS; round++) {
            size_t P = 1 + random_below(&stream, 90), columns = 1 + random_below(&stream, (uint32_t)P);
            size_t rows = columns + random_below(&stream, (uint32_t)(P - columns + 1));
            size_t stride = kernel_padded(P + random_below(&stream, 20)), at = 0;
            struct sum sum = sum_new(P);
            double *prior = random_doubles(&stream, sum.entries);
            double *panel = memory_new(columns * stride * sizeof *panel);
            for (size_t e = 0; e < sum.entries; e++) {
                unsigned shift = random_below(&stream, 64);  // from one word to two
                sum.low[e] = (uint64_t)random_bits(&stream) << 32 | random_bits(&stream);
                sum.high[e] = (int64_t)((uint64_t)random_bits(&stream) << 32 | random_bits(&stream)) >> shift;
            }
            // Every other time there are no high words.
            if (round % 2)
                memset(sum.high, 0, sum.entries * sizeof *sum.high);
            kernels_at(i)->sum_to_panel(panel, stride, prior, sum.low, round % 2 ? NULL : sum.high, P, columns, rows);
            for (size_t c = 0; c < columns; c++) {
                const double *column = panel + c * stride;
                for (size_t r = c; r < P; r++, at++) {
                    double l = (double)(int64_t)sum.low[at], h = (double)sum.high[at];
                    double value = fma(h, 0x1p64, l) * 0x1p-48 + prior[at];
                    CHECK(r >= rows || !memcmp(&column[r], &value, sizeof value),
                          "%s: P = %zu, (%zu, %zu): %a, not %a", kernels_at(i)->name, P, r, c, column[r], value);
                }
                CHECK(is_untouched(column, c * sizeof *column) &&
                          is_untouched(column + rows, (stride - rows) * sizeof *column),
                      "%s: P = %zu, column %zu: wrote outside", kernels_at(i)->name, P, c);
            }
            free(prior);
            free(panel);
            sum_free(&sum);
        }
}
END_TEST

// Factor and solves

// The definition, element by element.
static size_t plain_factor(double *panel, size_t stride, size_t D, size_t rows)
{
    for (size_t c = 0; c < D; c++) {
        double *column = panel + c * stride;
        for (size_t r = c; r < rows; r++)
            for (size_t k = 0; k < c; k++)
                column[r] = fma(-panel[k * stride + r], panel[k * stride + c], column[r]);
        double pivot = column[c];
        if (!(pivot >= 0x1p-1000 && pivot <= 0x1p1000))
            return c + 1;
        column[c] = sqrt(pivot);
        for (size_t r = c + 1; r < rows; r++)
            column[r] *= column[c] * (1 / pivot);
    }
    return 0;
}

static void plain_back_substitute(double *out, size_t out_stride, const double *panel, size_t stride, size_t D,
                                  size_t first, size_t count)
{
    for (size_t r = 0; r < count; r++)
        for (size_t c = D; c-- > 0;) {
            double x = panel[c * stride + first + r];
            for (size_t k = D; k-- > c + 1;)
                x = fma(-out[k * out_stride + r], panel[c * stride + k], x);
            out[c * out_stride + r] = x * (1 / panel[c * stride + c]);
        }
}

// A = G G' / D + 1/10 above rows at random; NaNs above the diagonal, where nobody has to look.
static double *random_panel(struct random_stream *stream, size_t stride, size_t D, size_t rows)
{
    double *G = random_doubles(stream, D * D), *panel = memory_new(D * stride * sizeof *panel);
    for (size_t c = 0; c < D; c++) {
        for (size_t r = 0; r < c; r++)
            panel[c * stride + r] = NAN;
        for (size_t r = c; r < D; r++) {
            double sum = r == c ? 0.1 : 0;
            for (size_t k = 0; k < D; k++)
                sum += G[r * D + k] * G[c * D + k] / (double)D;
            panel[c * stride + r] = sum;
        }
        for (size_t r = D; r < rows; r++)
            panel[c * stride + r] = random_between(stream, -1, 1);
    }
    free(G);
    return panel;
}

static void check_panel(const struct kernels *kernels, struct random_stream *stream, size_t D, size_t rows)
{
    size_t stride = kernel_padded(rows) + KERNEL_LANES * random_below(stream, 3);
    double *panel = random_panel(stream, stride, D, rows), *expected = memory_new(D * stride * sizeof *expected);
    memcpy(expected, panel, D * stride * sizeof *panel);
    ck_assert_uint_eq(plain_factor(expected, stride, D, rows), 0);
    ck_assert_uint_eq(kernels->factor(panel, stride, D, rows), 0);
    for (size_t c = 0; c < D; c++) {
        for (size_t r = c; r < rows; r++)
            CHECK(!memcmp(&panel[c * stride + r], &expected[c * stride + r], sizeof *panel),
                  "%s: D = %zu of %zu rows, (%zu, %zu): %a, not %a", kernels->name, D, rows, r, c,
                  panel[c * stride + r], expected[c * stride + r]);
        size_t padded = kernel_padded(rows);
        CHECK(is_untouched(panel + c * stride + padded, (stride - padded) * sizeof *panel),
              "%s: D = %zu, wrote past the padding of %zu", kernels->name, D, c);
    }

    // Any rows below the factor, none if there are none.
    size_t first = D < rows ? D + random_below(stream, (uint32_t)(rows - D)) : rows;
    size_t count = first < rows ? 1 + random_below(stream, (uint32_t)(rows - first)) : 0;
    size_t out_stride = count + random_below(stream, 20);
    double *out = memory_new(D * out_stride * sizeof *out), *out_expected = memory_new(D * out_stride * sizeof *out);
    kernels->back_substitute(out, out_stride, panel, stride, D, first, count);
    plain_back_substitute(out_expected, out_stride, expected, stride, D, first, count);
    for (size_t c = 0; c < D; c++) {
        for (size_t r = 0; r < count; r++)
            CHECK(!memcmp(&out[c * out_stride + r], &out_expected[c * out_stride + r], sizeof *out),
                  "%s: D = %zu, %zu rows from %zu, (%zu, %zu): %a, not %a", kernels->name, D, count, first, r,
                  c, out[c * out_stride + r], out_expected[c * out_stride + r]);
        CHECK(is_untouched(out + c * out_stride + count, (out_stride - count) * sizeof *out),
              "%s: D = %zu, wrote past row %zu", kernels->name, D, count);
    }
    free(panel);
    free(expected);
    free(out);
    free(out_expected);
}

START_TEST(factor_and_solve_have_the_bits_of_the_plain_loops)
{
    struct random_stream stream = random_stream(7, 0, 0, 8);
    for (size_t i = 0; kernels_at(i); i++) {
        for (size_t D = 1; D <= 40; D++)
            for (size_t extra = 0; extra <= 60; extra += 1 + random_below(&stream, 9))
                check_panel(kernels_at(i), &stream, D, D + extra);
        check_panel(kernels_at(i), &stream, 64, 140);
        check_panel(kernels_at(i), &stream, 65, 141);
        check_panel(kernels_at(i), &stream, 256, 601);
    }
}
END_TEST

START_TEST(the_factor_times_itself_is_the_matrix_and_the_solve_undoes_the_product)
{
    struct random_stream stream = random_stream(7, 0, 0, 9);
    for (size_t i = 0; kernels_at(i); i++)
        for (size_t D = 1; D <= 64; D += 7) {
            size_t count = 20, rows = D + count, stride = kernel_padded(rows);
            double *panel = random_panel(&stream, stride, D, rows), *L = memory_new(D * stride * sizeof *L);
            double *out = memory_new(D * count * sizeof *out);
            memcpy(L, panel, D * stride * sizeof *L);
            ck_assert_uint_eq(kernels_at(i)->factor(L, stride, D, rows), 0);
            kernels_at(i)->back_substitute(out, count, L, stride, D, D, count);
            for (size_t c = 0; c < D; c++)
                for (size_t r = c; r < rows; r++) {
                    // A = L11 L11' above, A21 = L21 L11' below
                    long double sum = 0;
                    for (size_t k = 0; k <= c; k++)
                        sum += (long double)L[k * stride + r] * L[k * stride + c];
                    double entry = panel[c * stride + r], error = (double)fabsl(sum - entry);
                    CHECK(error < 1e-14, "%s: D = %zu, (%zu, %zu) off by %g", kernels_at(i)->name, D, r, c,
                          error);
                }
            for (size_t r = 0; r < count; r++)
                for (size_t c = 0; c < D; c++) {
                    // M' A11 = A21; A11 is symmetric and kept below its diagonal
                    long double sum = 0;
                    for (size_t k = 0; k < D; k++)
                        sum += (long double)out[k * count + r] * panel[(k < c ? k : c) * stride + (k < c ? c : k)];
                    double error = (double)fabsl(sum - panel[c * stride + D + r]);
                    CHECK(error < 1e-12, "%s: D = %zu, mean (%zu, %zu) off by %g", kernels_at(i)->name, D, r,
                          c, error);
                }
            free(panel);
            free(L);
            free(out);
        }
}
END_TEST

// The definition of one column of L^-1, squared and summed.
static double plain_inverse_square(const double *panel, size_t stride, size_t D, size_t column)
{
    double v[128] = {0}, sum = 0;
    for (size_t i = column; i < D; i++) {
        v[i] = i == column;
        for (size_t k = column; k < i; k++)
            v[i] = fma(-panel[k * stride + i], v[k], v[i]);
        v[i] *= 1 / panel[i * stride + i];
        sum = fma(v[i], v[i], sum);
    }
    return sum;
}

static double plain_product(const double *panel, size_t stride, size_t D, size_t a, size_t b)
{
    double sum = 0;
    for (size_t k = 0; k < D; k++)
        sum = fma(panel[k * stride + a], panel[k * stride + b], sum);
    return sum;
}

// One of a group's numbers is that of the session alone.
#define CHECK_GROUP(what, together, alone)                                                                            CHECK(!memcmp(&(double){together}, &(double){alone}, sizeof(double)), "%s: %s, D = %zu: %a in a group, %a alone",           kernels->name, what, D, together, alone)

static void check_group(const struct kernels *kernels, struct random_stream *stream)
{
    size_t D = 1 + random_below(stream, 40), d = 1 + random_below(stream, 12), P = D + d, G = kernels->group;
    size_t extra = random_below(stream, 5), rows = P + extra, columns = random_below(stream, 2) ? P : D;
    size_t stride = kernel_padded(rows), out_stride = kernel_padded(d), damaged = random_below(stream, 30);
    double *prior = random_doubles(stream, P * (P + 1) / 2), *phi = random_doubles(stream, columns * rows * G);
    double *together = memory_new(columns * rows * G * sizeof *together), *panel[KERNEL_GROUP_LIMIT];
    double *out = memory_new((D * d + 10 * D + P) * G * sizeof *out), *alone = memory_new(D * out_stride * sizeof *alone);
    const uint64_t *low[KERNEL_GROUP_LIMIT];
    const int64_t *high[KERNEL_GROUP_LIMIT];
    struct sum sum[KERNEL_GROUP_LIMIT];
    int32_t *z = memory_new(kernel_padded(P) * sizeof *z);
    for (size_t c = 0; c < P; c++)
        prior[c * P - (c ? c * (c - 1) / 2 : 0)] += 30;
    for (size_t s = 0; s < G; s++) {
        sum[s] = sum_new(P);
        int wide = 0;
        for (size_t step = 0; step < 3 * P; step++) {
            for (size_t i = 0; i < P; i++)
                z[i] = (int32_t)random_below(stream, s % 3 == 2 ? 1u << 30 : 1u << 25) - (s % 3 == 2 ? 1 << 29 : 1 << 24);
            wide |= kernels->sum_add(sum[s].low, sum[s].high, z, P, 1);
        }
        if (damaged == s)
            sum[s].low[0] = (uint64_t)INT64_MIN, sum[s].high[0] = 0;
        low[s] = sum[s].low;
        high[s] = wide ? sum[s].high : NULL;
        panel[s] = memory_new(columns * stride * sizeof *panel[s]);
    }
    kernels->group_sum_to_panel(together, rows, prior, low, high, P, columns, P);
    for (size_t s = 0; s < G; s++) {
        kernels->sum_to_panel(panel[s], stride, prior, low[s], high[s], P, columns, P);
        for (size_t c = 0; c < columns; c++) {
            for (size_t r = c; r < P; r++)
                CHECK_GROUP("panel", together[(c * rows + r) * G + s], panel[s][c * stride + r]);
            for (size_t r = P; r < rows; r++)
                together[(c * rows + r) * G + s] = panel[s][c * stride + r] = phi[(c * rows + r) * G + s];
        }
    }
    unsigned failed = kernels->group_factor(together, rows, columns, rows);
    double *mean = out, *variance = mean + D * d * G, *squares = variance + D * G, *combined = squares + d * G;
    kernels->group_back_substitute(mean, together, rows, D, D, d);
    kernels->group_inverse_squares(variance, together, rows, D, combined + d * G);
    kernels->group_squares(squares, together, rows, D, D, d);
    kernels->group_combine(combined, together, rows, D, D, d, rows - 1);
    for (size_t s = 0; s < G; s++) {
        size_t alone_failed = kernels->factor(panel[s], stride, columns, rows);
        CHECK(!alone_failed == !(failed >> s & 1), "%s: session %zu failed alone: %zu, together: %x", kernels->name, s,
              alone_failed, failed);
        CHECK(s != damaged || alone_failed, "%s: -1 has a root", kernels->name);
        for (size_t c = 0; c < columns && !alone_failed; c++)
            for (size_t r = c; r < rows; r++)
                CHECK_GROUP("factor", together[(c * rows + r) * G + s], panel[s][c * stride + r]);
        if (!alone_failed)
            kernels->back_substitute(alone, out_stride, panel[s], stride, D, D, d);
        for (size_t c = 0; c < D && !alone_failed; c++) {
            CHECK_GROUP("variance", variance[c * G + s], plain_inverse_square(panel[s], stride, D, c));
            for (size_t r = 0; r < d; r++)
                CHECK_GROUP("mean", mean[(c * d + r) * G + s], alone[c * out_stride + r]);
        }
        for (size_t r = 0; r < d && !alone_failed; r++) {
            CHECK_GROUP("squares", squares[r * G + s], plain_product(panel[s], stride, D, D + r, D + r));
            CHECK_GROUP("combined", combined[r * G + s], plain_product(panel[s], stride, D, D + r, rows - 1));
        }
    }
    for (size_t s = 0; s < G; s++) {
        sum_free(&sum[s]);
        free(panel[s]);
    }
    free(prior), free(phi), free(together), free(out), free(alone), free(z);
}

START_TEST(a_session_has_the_same_bits_in_a_group_as_alone)
{
    struct random_stream stream = random_stream(7, 0, 0, 20);
    for (size_t i = 0; kernels_at(i); i++)
        for (int round = 0; round < 60; round++)
            check_group(kernels_at(i), &stream);
}
END_TEST

START_TEST(small_negative_sums_keep_their_digits_on_the_way_to_doubles)
{
    for (size_t i = 0; kernels_at(i); i++)
        for (int bit = 0; bit < 60; bit++) {
            double prior = 0, panel[KERNEL_LANES];
            uint64_t low = (uint64_t)(-((int64_t)3 << bit));
            int64_t high = 0;
            kernels_at(i)->sum_to_panel(panel, KERNEL_LANES, &prior, &low, &high, 1, 1, 1);
            ck_assert_double_eq(panel[0], ldexp(-3, bit - 48));
        }
}
END_TEST

START_TEST(factor_tells_the_first_column_that_is_not_positive_and_finite)
{
    struct random_stream stream = random_stream(7, 0, 0, 10);
    const double bad[] = {0, -0.0, -1, 1e-320, NAN, INFINITY, -INFINITY};
    for (size_t i = 0; kernels_at(i); i++)
        for (size_t D = 1; D <= 35; D++)
            for (size_t k = 0; k < sizeof bad / sizeof *bad; k++) {
                size_t column = random_below(&stream, (uint32_t)D), rows = D + random_below(&stream, 20);
                double *panel = random_panel(&stream, kernel_padded(rows), D, rows);
                panel[column * kernel_padded(rows) + column] = bad[k];
                size_t failed = kernels_at(i)->factor(panel, kernel_padded(rows), D, rows);
                CHECK(failed == column + 1, "%s: D = %zu, %g at %zu: told %zu", kernels_at(i)->name, D, bad[k],
                      column, failed);
                free(panel);
            }
}
END_TEST

// Sets

START_TEST(every_set_has_the_golden_bits)
{
    for (size_t i = 0; kernels_at(i); i++) {
        uint64_t fingerprint = kernels_fingerprint(kernels_at(i));
        CHECK(fingerprint == KERNELS_FINGERPRINT, "%s: %016llx, not %016llx", kernels_at(i)->name,
              (unsigned long long)fingerprint, (unsigned long long)KERNELS_FINGERPRINT);
    }
}
END_TEST

START_TEST(the_best_set_is_the_last_that_the_machine_can_run)
{
    size_t count = 0;
    while (kernels_at(count))
        count++;
    ck_assert_uint_ge(count, 1);
    ck_assert_ptr_eq(kernels_best(), kernels_at(count - 1));
    ck_assert_str_eq(kernels_at(0)->name, "generic");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("linalg kernels");
    SUITE_TEST(suite, sums_are_exact_in_128_bits);
    SUITE_TEST(suite, many_additions_of_the_largest_values_carry_into_the_high_word);
    SUITE_TEST(suite, removing_what_was_added_leaves_zero);
    SUITE_TEST(suite, merging_adds_and_subtracts_all_128_bits);
    SUITE_TEST(suite, a_panel_is_prior_plus_sum_and_touches_no_other_row);
    SUITE_TEST(suite, a_session_has_the_same_bits_in_a_group_as_alone);
    SUITE_TEST(suite, small_negative_sums_keep_their_digits_on_the_way_to_doubles);
    SUITE_TEST(suite, factor_and_solve_have_the_bits_of_the_plain_loops);
    SUITE_TEST(suite, the_factor_times_itself_is_the_matrix_and_the_solve_undoes_the_product);
    SUITE_TEST(suite, factor_tells_the_first_column_that_is_not_positive_and_finite);
    SUITE_TEST(suite, every_set_has_the_golden_bits);
    SUITE_TEST(suite, the_best_set_is_the_last_that_the_machine_can_run);
    return suite_finish(suite);
}
