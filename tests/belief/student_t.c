// Special functions against identities, closed forms and printed tables.

#include "daemon/belief/student_t.h"
#include "daemon/base/random.h"
#include "daemon/belief/lanes.h"
#include "tests/support/suite.h"

#include <math.h>

static void assert_near(const char *what, double a, double b, double tolerance)
{
    ck_assert_msg(fabs(a - b) <= tolerance * (1 + fabs(b)), "%s: %.17g, expected %.17g", what, a, b);
}

static double beta(double a, double b, double x)
{
    return incomplete_beta(a, b, x, 1 - x, log_gamma(a) + log_gamma(b) - log_gamma(a + b));
}

START_TEST(incomplete_beta_has_its_closed_forms)
{
    struct random_stream stream = random_stream(1, 0, 0, 0);
    for (int i = 0; i < 2000; i++) {
        double a = random_between(&stream, 0.5, 40), b = random_between(&stream, 0.5, 40), x = random_uniform(&stream);
        assert_near("I_x(a, 1)", beta(a, 1, x), pow(x, a), 1e-13);
        assert_near("I_x(1, b)", beta(1, b, x), -expm1(b * log1p(-x)), 1e-13);
        assert_near("I_x(1/2, 1/2)", beta(0.5, 0.5, x), 2 / M_PI * asin(sqrt(x)), 1e-13);
        assert_near("symmetry", beta(a, b, x), 1 - beta(b, a, 1 - x), 1e-13);
        double step = exp(a * log(x) + b * log1p(-x) - log_gamma(a + 1) - log_gamma(b) + log_gamma(a + b));
        assert_near("I_x(a, b) - I_x(a + 1, b)", beta(a, b, x), beta(a + 1, b, x) + step, 1e-13);
    }
    ck_assert_double_eq(beta(3, 4, 0), 0);
    ck_assert_double_eq(beta(3, 4, 1), 1);
}
END_TEST

// P(X >= k) of a binomial is I_p(k, n - k + 1), summed term by term.
START_TEST(incomplete_beta_sums_binomials)
{
    const int sizes[] = {5, 40, 300, 2000};
    for (int i = 0; i < 4; i++) {
        int n = sizes[i];
        for (double p = 0.05; p < 1; p += 0.15) {
            for (int k = 1; k <= n; k += n / 5) {
                long double tail = 0;
                for (int j = k; j <= n; j++)
                    tail += expl(lgammal(n + 1.0L) - lgammal(j + 1.0L) - lgammal(n - j + 1.0L) + j * logl((long double)p)
                                 + (n - j) * log1pl(-(long double)p));
                assert_near("binomial tail", beta(k, n - k + 1, p), (double)tail, 1e-11);
            }
        }
    }
}
END_TEST

// Upper points of F and t from the tables of any textbook (five digits).
START_TEST(tables_of_f_and_t_come_out)
{
    struct { double d, df, x, tail; } f[] = {
        {1, 1, 161.45, 0.05}, {5, 10, 3.3258, 0.05}, {10, 20, 2.3479, 0.05}, {3, 60, 2.7581, 0.05}, {2, 5, 13.274, 0.01},
    };
    for (int i = 0; i < 5; i++) {
        double x = f[i].df / (f[i].df + f[i].d * f[i].x);
        ck_assert_msg(fabs(beta(f[i].df / 2, f[i].d / 2, x) - f[i].tail) < 3e-6, "F row %d", i);
    }
    struct { double df, t; } t[] = {{1, 12.706}, {2, 4.3027}, {10, 2.2281}, {30, 2.0423}, {120, 1.9799}};
    for (int i = 0; i < 5; i++)
        ck_assert_msg(fabs(beta(t[i].df / 2, 0.5, t[i].df / (t[i].df + t[i].t * t[i].t)) - 0.05) < 5e-6, "t row %d", i);
}
END_TEST

START_TEST(long_lives_and_far_tails_stay_within_bounds)
{
    for (double df = 1; df < 1e12; df *= 7) {
        for (double d = 1; d <= 256; d *= 4) {
            double before = 1;
            for (double q = 1e-12; q < 1e12; q *= 10) {
                double log_beta = log_gamma(df / 2) + log_gamma(d / 2) - log_gamma((df + d) / 2);
                double tail = incomplete_beta(df / 2, d / 2, 1 / (1 + q), q / (1 + q), log_beta);
                ck_assert_msg(tail >= -1e-9 && tail <= before + 1e-9, "df %g, d %g, q %g: %g after %g", df, d, q, tail, before);
                before = tail;
            }
        }
    }
}
END_TEST

START_TEST(digamma_and_multivariate_gamma_have_their_values)
{
    const double euler = 0.57721566490153286061;
    assert_near("psi(1)", digamma(1), -euler, 1e-15);
    assert_near("psi(1/2)", digamma(0.5), -euler - 2 * log(2), 1e-15);
    assert_near("psi(1/4)", digamma(0.25), -euler - M_PI / 2 - 3 * log(2), 1e-14);
    for (double x = 0.01; x < 1e6; x *= 1.7) {
        assert_near("psi(x + 1)", digamma(x + 1), digamma(x) + 1 / x, 1e-13);
        assert_near("duplication", digamma(2 * x), (digamma(x) + digamma(x + 0.5)) / 2 + log(2), 1e-13);
        double h = 1e-4 * x;
        assert_near("derivative", digamma(x) * x, (log_gamma(x + h) - log_gamma(x - h)) / (2 * h) * x, 1e-5);
    }
    assert_near("Gamma_1", log_gamma_multivariate(3.7, 1), lgamma(3.7), 1e-15);
    // Gamma_2(a) = sqrt(pi) Gamma(a) Gamma(a - 1/2) = pi 2^(2 - 2a) Gamma(2a - 1)
    for (double a = 0.6; a < 100; a *= 1.3)
        assert_near("Gamma_2", log_gamma_multivariate(a, 2), log(M_PI) + (2 - 2 * a) * log(2) + lgamma(2 * a - 1), 1e-13);
}
END_TEST

START_TEST(our_logarithm_is_within_two_units_of_the_exact_one_on_every_set)
{
    struct random_stream stream = random_stream(2, 0, 0, 0);
    for (int round = 0; round < 20000; round++) {
        double x[5], expected[5], found[5];
        for (int i = 0; i < 5; i++)
            x[i] = i == 0 ? 1 + (random_uniform(&stream) - 0.5) * exp2(-(double)random_below(&stream, 40))
                          : exp2(random_between(&stream, -1021, 1023));
        x[4] = exp2((double)random_below(&stream, 2000) - 1000);
        for (size_t set = 0; kernels_at(set); set++) {
            lanes_for(kernels_at(set))->logarithm(found, x, 5);
            for (int i = 0; i < 5; i++) {
                long double exact = logl((long double)x[i]);
                double unit = nextafter(fabs((double)exact), INFINITY) - fabs((double)exact);
                ck_assert_msg(fabsl(found[i] - exact) <= 2 * unit, "ln %.17g: %.17g, expected %.17Lg", x[i], found[i], exact);
                ck_assert(set == 0 || found[i] == expected[i]);
                expected[i] = found[i];
            }
        }
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("student_t");
    SUITE_TEST(suite, incomplete_beta_has_its_closed_forms);
    SUITE_TEST(suite, incomplete_beta_sums_binomials);
    SUITE_TEST(suite, tables_of_f_and_t_come_out);
    SUITE_TEST(suite, long_lives_and_far_tails_stay_within_bounds);
    SUITE_TEST(suite, digamma_and_multivariate_gamma_have_their_values);
    SUITE_TEST(suite, our_logarithm_is_within_two_units_of_the_exact_one_on_every_set);
    return suite_finish(suite);
}
