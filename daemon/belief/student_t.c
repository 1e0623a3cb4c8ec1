// Gamma, digamma and incomplete beta functions.

#include "student_t.h"

#include <math.h>

double log_gamma(double x)
{
    int sign;
    return lgamma_r(x, &sign);
}

double log_gamma_multivariate(double a, unsigned long d)
{
    // ln Gamma_d(a) = d (d - 1) / 4 ln pi + sum_j ln Gamma(a - j / 2)
    double sum = (double)d * ((double)d - 1) / 4 * log(M_PI);
    for (unsigned long j = 0; j < d; j++)
        sum += log_gamma(a - (double)j / 2);
    return sum;
}

double digamma(double x)
{
    // psi(x) = psi(x + 1) - 1 / x up to where the asymptotic series has full precision.
    double shift = 0;
    for (; x < 10; x++)
        shift -= 1 / x;
    // psi(x) = ln x - 1 / 2x - sum_k B_2k / (2k x^2k), Bernoulli numbers B_2 .. B_14
    double s = 1 / (x * x), series = 1.0 / 12;
    series = 691.0 / 32760 - s * series;
    series = 1.0 / 132 - s * series;
    series = 1.0 / 240 - s * series;
    series = 1.0 / 252 - s * series;
    series = 1.0 / 120 - s * series;
    series = 1.0 / 12 - s * series;
    return shift + log(x) - 1 / (2 * x) - s * series;
}

// The continued fraction of I_x(a, b) (DLMF 8.17.22), by Lentz's method; converges fast for
// x < (a + 1) / (a + b + 2).
static double beta_fraction(double a, double b, double x)
{
    const double tiny = 1e-300;
    double d = 1 - (a + b) * x / (a + 1);
    d = 1 / (fabs(d) < tiny ? tiny : d);
    double c = 1, fraction = d;
    // About sqrt(max(a, b)) terms are needed; the limit is far beyond any count that a session reaches.
    for (int m = 1; m < 1000000; m++) {
        double even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
        d = 1 + even * d;
        d = 1 / (fabs(d) < tiny ? tiny : d);
        c = 1 + even / c;
        c = fabs(c) < tiny ? tiny : c;
        fraction *= c * d;
        double odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
        d = 1 + odd * d;
        d = 1 / (fabs(d) < tiny ? tiny : d);
        c = 1 + odd / c;
        c = fabs(c) < tiny ? tiny : c;
        fraction *= c * d;
        if (fabs(c * d - 1) < 1e-15)
            break;
    }
    return fraction;
}

double incomplete_beta(double a, double b, double x, double y, double log_beta)
{
    if (x <= 0)
        return 0;
    if (y <= 0)
        return 1;
    // I_x(a, b) = x^a y^b / (a B(a, b)) / (1 + ...),   I_x(a, b) = 1 - I_y(b, a)
    double factor = exp(a * log(x) + b * log(y) - log_beta);
    if (x < (a + 1) / (a + b + 2))
        return factor * beta_fraction(a, b, x) / a;
    return 1 - factor * beta_fraction(b, a, y) / b;
}
