#pragma once
// For this folder and for the learner: special functions behind densities and p-values. They call libm, so their last bits
// are those of the C library; nothing that a policy reads goes through here.

// ln Gamma(x), x > 0; unlike lgamma it touches no global variable.
double log_gamma(double x);
// ln Gamma_d(a), the multivariate one, a > (d - 1) / 2.
double log_gamma_multivariate(double a, unsigned long d);
// d/dx ln Gamma(x), x > 0.
double digamma(double x);

// I_x(a, b), the regularised incomplete beta function; y = 1 - x, given apart because either may be tiny.
// log_beta = ln B(a, b).
double incomplete_beta(double a, double b, double x, double y, double log_beta);
