// Random numbers: the published generator bit for bit, and the distributions made from it.
//
// Seeds are fixed, so these tests always see the same numbers. Limits are about four standard deviations of the
// statistic, or a Kolmogorov-Smirnov or chi-square tail of 1e-4: a wrong distribution is far beyond them.

#include "daemon/base/random.h"

#include <math.h>
#include <stdlib.h>

#include "tests/support/suite.h"

enum { N = 100000 };

static struct random_stream numbered(uint32_t number)
{
    return random_stream(20240607, 1, 2, number);
}

// ---- The generator

START_TEST(philox_gives_the_published_vectors)
{
    // "philox4x32 10" in the file kat_vectors of Random123, by the generator's authors (Salmon et al. 2011).
    static const struct {
        uint32_t counter[4], key[2], out[4];
    } known[] = {
        {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
         {0xffffffff, 0xffffffff},
         {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
         {0xa4093822, 0x299f31d0},
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        struct random_stream stream = {.key = {known[i].key[0], known[i].key[1]}};
        for (int k = 0; k < 4; k++)
            stream.counter[k] = known[i].counter[k];
        for (int k = 0; k < 4; k++) {
            uint32_t bits = random_bits(&stream);
            ck_assert_msg(bits == known[i].out[k], "vector %zu, word %d: %08x, not %08x", i, k, bits,
                          known[i].out[k]);
        }
    }
}
END_TEST

START_TEST(a_stream_is_its_five_numbers_and_a_position)
{
    struct random_stream stream = random_stream(UINT64_C(0x299f31d0a4093822), 7, 8, 9);
    ck_assert_uint_eq(stream.key[0], 0xa4093822);
    ck_assert_uint_eq(stream.key[1], 0x299f31d0);
    // Word k of position p, asked for directly.
    for (uint32_t position = 0; position < 10; position++) {
        struct random_stream direct = stream;
        direct.counter[0] = position;
        direct.left = 0;
        struct random_stream walked = random_stream(UINT64_C(0x299f31d0a4093822), 7, 8, 9);
        for (uint32_t i = 0; i < 4 * position; i++)
            random_bits(&walked);
        for (int k = 0; k < 4; k++)
            ck_assert_uint_eq(random_bits(&direct), random_bits(&walked));
    }
}
END_TEST

START_TEST(a_copy_of_a_stream_goes_on_alike)
{
    struct random_stream stream = numbered(0);
    random_normal(&stream);  // leaves a spare normal and part of a block
    random_bits(&stream);
    struct random_stream copy = stream;
    for (int i = 0; i < 100; i++) {
        ck_assert(random_normal(&stream) == random_normal(&copy));
        ck_assert_uint_eq(random_bits(&stream), random_bits(&copy));
        ck_assert(random_chi_square(&stream, 0.7) == random_chi_square(&copy, 0.7));
    }
}
END_TEST

// ---- Distributions

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

// Largest distance of the empirical distribution from cdf, times sqrt(n); sorts. 2.23 is passed once in 10^4.
static double kolmogorov_smirnov(double *x, size_t n, double cdf(double x, double parameter), double parameter)
{
    double worst = 0;
    qsort(x, n, sizeof *x, ascending);
    for (size_t i = 0; i < n; i++) {
        double p = cdf(x[i], parameter);
        worst = fmax(worst, fmax(p - (double)i / (double)n, (double)(i + 1) / (double)n - p));
    }
    return worst * sqrt((double)n);
}

static void check_fit(double *x, double cdf(double x, double parameter), double parameter)
{
    double distance = kolmogorov_smirnov(x, N, cdf, parameter);
    ck_assert_msg(distance < 2.23, "Kolmogorov-Smirnov %g (parameter %g)", distance, parameter);
}

// Mean of (x - center)^power.
static double moment(const double *x, double center, int power)
{
    double sum = 0;
    for (size_t i = 0; i < N; i++)
        sum += pow(x[i] - center, power);
    return sum / N;
}

// `seen` is a mean of N numbers with variance `variance`.
static void check_mean(const char *what, double seen, double expected, double variance)
{
    double deviations = (seen - expected) / sqrt(variance / N);
    ck_assert_msg(fabs(deviations) < 4, "%s is %.9g, not %.9g: %.1f standard deviations", what, seen, expected,
                  deviations);
}

static double uniform_cdf(double x, double parameter)
{
    (void)parameter;
    return x;
}

static double normal_cdf(double x, double parameter)
{
    (void)parameter;
    return 0.5 * erfc(-x / sqrt(2));
}

// Regularised lower incomplete gamma function P(k / 2, x / 2): its power series, or 1 - Q by Lentz's continued
// fraction (Abramowitz and Stegun 6.5.29 and 6.5.31).
static double chi_square_cdf(double x, double degrees)
{
    double a = degrees / 2, z = x / 2, front = exp(a * log(z) - z - lgamma(a));
    if (z < a + 1) {
        double term = 1 / a, sum = term;
        for (double k = a + 1; term > 1e-17 * sum; k++)
            sum += term *= z / k;
        return front * sum;
    }
    double b = z + 1 - a, c = 1e300, d = 1 / b, fraction = d;
    for (int k = 1; k < 1000; k++) {
        double an = k * (a - k);
        b += 2;
        d = 1 / (an * d + b);
        c = b + an / c;
        fraction *= c * d;
        if (fabs(c * d - 1) < 1e-16)
            break;
    }
    return 1 - front * fraction;
}

static double sample[N];

START_TEST(uniform_numbers_are_uniform)
{
    struct random_stream stream = numbered(1);
    for (size_t i = 0; i < N; i++) {
        sample[i] = random_uniform(&stream);
        ck_assert(sample[i] >= 0 && sample[i] < 1);
    }
    check_mean("mean", moment(sample, 0, 1), 0.5, 1 / 12.0);
    check_mean("variance", moment(sample, 0.5, 2), 1 / 12.0, 1 / 80.0 - 1 / 144.0);
    check_fit(sample, uniform_cdf, 0);
}
END_TEST

START_TEST(uniform_numbers_have_53_random_bits)
{
    struct random_stream stream = numbered(2);
    unsigned ones[53] = {0};
    for (size_t i = 0; i < N; i++) {
        double x = random_uniform(&stream) * 0x1p53;
        ck_assert(x == floor(x));
        for (int bit = 0; bit < 53; bit++)
            ones[bit] += (uint64_t)x >> bit & 1;
    }
    for (int bit = 0; bit < 53; bit++)
        check_mean("bit", (double)ones[bit] / N, 0.5, 0.25);
}
END_TEST

START_TEST(the_largest_and_smallest_uniform_numbers_stay_inside)
{
    struct random_stream all = {.left = 4, .block = {UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX}};
    struct random_stream none = {.left = 4};
    double largest = random_uniform(&all);
    ck_assert(largest == 1 - 0x1p-53 && random_uniform(&none) == 0);
    ck_assert(random_between(&all, -2, 3) < 3 && random_between(&none, -2, 3) == -2);
    // Box and Muller must not take the logarithm of zero.
    struct random_stream extremes[] = {
        {.left = 4, .block = {UINT32_MAX, UINT32_MAX, 0, 0}},
        {.left = 4, .block = {0, 0, UINT32_MAX, UINT32_MAX}},
    };
    for (int i = 0; i < 2; i++)
        ck_assert(isfinite(random_normal(&extremes[i])) && isfinite(random_normal(&extremes[i])));
}
END_TEST

START_TEST(numbers_between_fill_the_interval)
{
    struct random_stream stream = numbered(3);
    for (size_t i = 0; i < N; i++) {
        double x = random_between(&stream, -3, 5);
        ck_assert(x >= -3 && x < 5);
        sample[i] = (x + 3) / 8;
    }
    check_fit(sample, uniform_cdf, 0);
}
END_TEST

START_TEST(normal_numbers_are_normal)
{
    struct random_stream stream = numbered(4);
    for (size_t i = 0; i < N; i++)
        sample[i] = random_normal(&stream);
    // E x^k and Var x^k of a standard normal: x^2k has mean (2k - 1)!!.
    check_mean("mean", moment(sample, 0, 1), 0, 1);
    check_mean("variance", moment(sample, 0, 2), 1, 2);
    check_mean("third moment", moment(sample, 0, 3), 0, 15);
    check_mean("fourth moment", moment(sample, 0, 4), 3, 96);
    // Both of a pair, and one after the other: not correlated, nor are their squares.
    double product = 0, squares = 0;
    for (size_t i = 0; i < N; i++) {
        double x = sample[i], y = sample[(i + 1) % N];
        product += x * y;
        squares += (x * x - 1) * (y * y - 1);
    }
    check_mean("product of neighbours", product / N, 0, 1);
    check_mean("product of neighbours' squares", squares / N, 0, 4);
    check_fit(sample, normal_cdf, 0);
}
END_TEST

START_TEST(chi_square_numbers_are_chi_square_for_few_and_many_degrees)
{
    static const double degrees[] = {0.3, 1, 2, 3.5, 10, 250};
    // The reference itself: the 95th percentiles of every table.
    ck_assert_double_eq_tol(chi_square_cdf(3.841458820694124, 1), 0.95, 1e-12);
    ck_assert_double_eq_tol(chi_square_cdf(18.307038053275146, 10), 0.95, 1e-12);
    for (uint32_t j = 0; j < sizeof degrees / sizeof *degrees; j++) {
        struct random_stream stream = numbered(100 + j);
        double k = degrees[j];
        for (size_t i = 0; i < N; i++) {
            sample[i] = random_chi_square(&stream, k);
            ck_assert(sample[i] >= 0 && isfinite(sample[i]));
        }
        check_mean("mean", moment(sample, 0, 1), k, 2 * k);
        check_mean("variance", moment(sample, k, 2), 2 * k, 48 * k + 8 * k * k);  // E (x - k)^4 - (2 k)^2
        check_fit(sample, chi_square_cdf, k);
    }
}
END_TEST

// Sum of (seen - expected)^2 / expected over the cells; its probability under chi-square with cells - 1 degrees.
static void check_cells(const unsigned *seen, size_t cells, double total)
{
    double expected = total / (double)cells, sum = 0;
    for (size_t i = 0; i < cells; i++)
        sum += (seen[i] - expected) * (seen[i] - expected) / expected;
    double p = 1 - chi_square_cdf(sum, (double)(cells - 1));
    ck_assert_msg(p > 1e-4, "chi-square %g in %zu cells, p = %g", sum, cells, p);
}

START_TEST(numbers_below_a_limit_are_equally_likely)
{
    static const uint32_t limits[] = {1, 2, 3, 7, 10, 100};
    for (uint32_t j = 0; j < sizeof limits / sizeof *limits; j++) {
        struct random_stream stream = numbered(200 + j);
        unsigned seen[100] = {0};
        for (size_t i = 0; i < N; i++) {
            uint32_t x = random_below(&stream, limits[j]);
            ck_assert_uint_lt(x, limits[j]);
            seen[x]++;
        }
        if (limits[j] > 1)
            check_cells(seen, limits[j], N);
        else
            ck_assert_uint_eq(seen[0], N);
    }
}
END_TEST

START_TEST(numbers_below_a_large_limit_are_not_biased)
{
    // Of 2^32 words onto 3 * 2^30 numbers, every third number would come twice as often if none were rejected.
    const uint32_t limit = UINT32_C(3) << 30;
    struct random_stream stream = numbered(300);
    unsigned remainder[3] = {0}, range[3] = {0};
    for (size_t i = 0; i < N; i++) {
        uint32_t x = random_below(&stream, limit);
        ck_assert_uint_lt(x, limit);
        remainder[x % 3]++;
        range[x >> 30]++;
    }
    check_cells(remainder, 3, N);
    check_cells(range, 3, N);
    for (size_t i = 0; i < 1000; i++)
        ck_assert_uint_lt(random_below(&stream, UINT32_MAX), UINT32_MAX);
}
END_TEST

// ---- Streams

START_TEST(streams_that_differ_in_one_number_are_unrelated)
{
    static const struct {
        uint64_t seed;
        uint32_t a, b, c;
    } other[] = {{6, 1, 2, 3},          {5, 2, 2, 3}, {5, 1, 3, 3}, {5, 1, 2, 4}, {5 | UINT64_C(1) << 32, 1, 2, 3},
                 {5, 2, 1, 3}, {5, 1, 2, 3 | 1u << 31}};
    for (size_t j = 0; j < sizeof other / sizeof *other; j++) {
        struct random_stream x = random_stream(5, 1, 2, 3);
        struct random_stream y = random_stream(other[j].seed, other[j].a, other[j].b, other[j].c);
        unsigned cells[256] = {0}, equal_bits = 0;
        for (size_t i = 0; i < N; i++) {
            uint32_t p = random_bits(&x), q = random_bits(&y);
            cells[p >> 28 << 4 | q >> 28]++;
            equal_bits += 32 - (unsigned)__builtin_popcount(p ^ q);
        }
        check_cells(cells, 256, N);
        check_mean("share of equal bits", equal_bits / 32.0 / N, 0.5, 0.25 / 32);
    }
}
END_TEST

static int ascending_words(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

START_TEST(no_two_streams_begin_alike)
{
    // 64 bits from each of 46656 streams: an accidental repeat has a probability of 6e-11.
    enum { SIDE = 36, COUNT = SIDE * SIDE * SIDE };
    static uint64_t first[COUNT];
    for (uint32_t i = 0; i < COUNT; i++) {
        struct random_stream stream = random_stream(i % SIDE, i / SIDE % SIDE, i / SIDE / SIDE, 0);
        uint64_t high = random_bits(&stream);
        first[i] = high << 32 | random_bits(&stream);
    }
    qsort(first, COUNT, sizeof *first, ascending_words);
    for (size_t i = 1; i < COUNT; i++)
        ck_assert_uint_ne(first[i - 1], first[i]);
}
END_TEST

START_TEST(first_numbers_of_consecutive_streams_are_uniform_and_uncorrelated)
{
    // The learner draws few numbers from each of many streams.
    double product = 0, before = 0;
    for (uint32_t i = 0; i < N; i++) {
        struct random_stream stream = random_stream(1, 0, i, 0);
        sample[i] = random_uniform(&stream);
        product += (sample[i] - 0.5) * (before - 0.5);
        before = sample[i];
    }
    check_mean("product of neighbours", product / N, 0, 1 / 144.0);
    check_fit(sample, uniform_cdf, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("random");
    SUITE_TEST(suite, philox_gives_the_published_vectors);
    SUITE_TEST(suite, a_stream_is_its_five_numbers_and_a_position);
    SUITE_TEST(suite, a_copy_of_a_stream_goes_on_alike);
    SUITE_TEST(suite, uniform_numbers_are_uniform);
    SUITE_TEST(suite, uniform_numbers_have_53_random_bits);
    SUITE_TEST(suite, the_largest_and_smallest_uniform_numbers_stay_inside);
    SUITE_TEST(suite, numbers_between_fill_the_interval);
    SUITE_TEST(suite, normal_numbers_are_normal);
    SUITE_TEST(suite, chi_square_numbers_are_chi_square_for_few_and_many_degrees);
    SUITE_TEST(suite, numbers_below_a_limit_are_equally_likely);
    SUITE_TEST(suite, numbers_below_a_large_limit_are_not_biased);
    SUITE_TEST(suite, streams_that_differ_in_one_number_are_unrelated);
    SUITE_TEST(suite, no_two_streams_begin_alike);
    SUITE_TEST(suite, first_numbers_of_consecutive_streams_are_uniform_and_uncorrelated);
    return suite_finish(suite);
}
