#pragma once
// Prometheus text format 0.0.4, as far as a daemon's own metrics need it: values by name and label, and quantiles of
// what a histogram counted between two scrapes.

#include <stddef.h>

struct sample {
    const char *name, *labels;  // labels: what stands between the braces, or ""
    double value;
};

struct scrape {
    char *text;                 // a copy, cut into strings
    struct sample *samples;
    size_t count;
};

// -EINVAL: not that format; -ENOMEM. A scrape that is all zeros has no samples.
int scrape_parse(struct scrape *scrape, const char *text);
void scrape_release(struct scrape *scrape);

// The sum over all samples of that name, with label="value" if label is not NULL. 0 if there is none.
double scrape_sum(const struct scrape *scrape, const char *name, const char *label, const char *value);
int scrape_has(const struct scrape *scrape, const char *name);

// Copies a label's value; 0: there is none.
int scrape_label(const struct sample *sample, const char *label, char *value, size_t size);

// The q-quantile of what histogram `name` (without _bucket) counted after `before` (NULL: since the start), linear
// within a bucket; NAN if nothing was.
double scrape_quantile(const struct scrape *now, const struct scrape *before, const char *name, double q);
