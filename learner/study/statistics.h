#pragma once
// Statistics of a few runs, as Agarwal et al. (2021, "Deep reinforcement learning at the edge of the statistical
// precipice") have them: interquartile means, stratified bootstrap intervals, probabilities of improvement.
//
// A stratum is what is not mixed when runs are drawn again: the runs of one world.

#include <stddef.h>
#include <stdint.h>

enum { STATISTICS_DRAWS = 10000 };

struct stratum {
    const double *values;
    size_t count;                // at least 1
};

struct interval {
    double value, low, high;     // low and high: 95 %; of a single run NaN, as nothing is known
};

// Mean of what is left when a quarter of the values, rounded down, is left out at each end (scipy's
// trim_mean(values, 0.25)). Sorts values. Of none: NaN.
double statistics_iqm(double *values, size_t count);

// Of sorted values, with linear interpolation between them (numpy's default). 0 <= q <= 1.
double statistics_quantile(const double *sorted, size_t count, double q);

// The interquartile mean of all runs of all strata. Same seed, same bits. draws: how often runs are drawn again, at
// most STATISTICS_DRAWS. -ENOMEM.
int statistics_iqm_interval(struct interval *interval, const struct stratum *strata, size_t count, size_t draws,
                            uint64_t seed);

// The probability that a run of x is better than one of y, equal ones being half better, averaged over strata (x and
// y have the same ones). -ENOMEM.
int statistics_improvement(struct interval *interval, const struct stratum *x, const struct stratum *y, size_t count,
                           size_t draws, uint64_t seed);

// Runs of one stratum drawn again with replacement: the indices of one draw (count).
void statistics_draw(size_t *index, size_t count, uint64_t seed, size_t draw, size_t stratum);
