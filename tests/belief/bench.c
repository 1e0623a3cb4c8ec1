// What a step pays here, at the shape of a half-cheetah with 39 observations: ns of CPU time, median of 9.

#include "scenario.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { REPEATS = 9 };

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static int ascending(const void *a, const void *b) { return (*(const double *)a > *(const double *)b) - (*(const double *)a < *(const double *)b); }

static struct scenario s;
static struct representation shown;
static const int32_t *judged;
static int32_t *z;
static size_t next;

static void write_representation(void)
{
    static float out[4096];
    struct predictive surprise;
    if (representation_write(out, &shown, &s.posterior, s.prior, &s.belief, judged, &surprise))
        exit(1);
}

static void solve_mean_and_scale(void)
{
    if (posterior_solve(&s.posterior, s.prior, &s.belief, POSTERIOR_MEAN | POSTERIOR_SCALE, NULL, 0))
        exit(1);
}

static void load_and_factor(void)
{
    static double identity[(32 + 39) * (32 + 39)];
    for (size_t c = 0, entry = 0; c < s.D; entry += s.P - c++)
        identity[entry] = 1;
    size_t rows = s.P + 1;
    struct posterior *p = &s.posterior;
    p->kernels->sum_to_panel(p->panel, p->stride, identity, s.belief.low, s.belief.high, s.P, s.D, s.P);
    for (size_t c = 0; c < s.D; c++)
        p->panel[c * p->stride + s.P] = 0;
    if (p->kernels->factor(p->panel, p->stride, s.D, rows))
        exit(1);
}

static void solve_mean(void)
{
    if (posterior_solve(&s.posterior, s.prior, &s.belief, POSTERIOR_MEAN, NULL, 0))
        exit(1);
}

static void assess(void) { posterior_assess_absorbed(&s.posterior, 0, s.posterior.mean); }
static void add(void) { belief_add(&s.belief, z + next++ % 64 * kernel_padded(s.P)); }

static void measure(const char *name, void (*work)(void))
{
    double times[REPEATS];
    for (int i = 0; i < REPEATS; i++) {
        int count = 0;
        double start = now(), end = start;
        for (; end - start < 3e6; end = now())
            for (int k = 0; k < 50; k++, count++)
                work();
        times[i] = (end - start) / count;
    }
    qsort(times, REPEATS, sizeof *times, ascending);
    printf("%-52s D %2zu d %2zu %8.0f ns\n", name, s.D, s.d, times[REPEATS / 2]);
}

static void head(size_t D, size_t d, unsigned parts)
{
    scenario_init(&s, &(struct scenario_options){.D = D, .d = d, .rows_limit = 4, .seed = 1, .noise = 0.1, .precision = 1, .scale = 0.1});
    z = scenario_draw_many(&s, 64);
    for (int i = 0; i < 64; i++)
        add();
    measure("belief_add", add);
    shown = (struct representation){.kind = REPRESENTATION_WEIGHT, .parts = parts, .features = D, .targets = d};
    judged = NULL;
    measure("representation_write", write_representation);
    judged = z;
    measure("representation_write with surprise", write_representation);
    measure("of that, posterior_assess_absorbed", assess);
    double *components = aligned_alloc(64, D * d * kernel_padded(8) * sizeof *components);
    double *origin = calloc(D * d, sizeof *origin);
    if (!components || !origin)
        exit(1);
    for (size_t i = 0; i < D * d * kernel_padded(8); i++)
        components[i] = 1 / (double)(1 + i % 97);
    shown = (struct representation){.kind = REPRESENTATION_PRINCIPAL, .parts = REPRESENT_MEAN, .features = D, .targets = d,
                                    .component_count = 8, .components = components, .origin = origin};
    judged = NULL;
    measure("representation_write, 8 principal components", write_representation);
    measure("of that, posterior_solve, mean", solve_mean);
    free(components), free(origin);
    measure("sum_to_panel and factor alone, D columns", load_and_factor);
    measure("posterior_solve, mean and scale", solve_mean_and_scale);
    free(z);
    scenario_release(&s);
}

int main(void)
{
    head(32, 39, REPRESENT_SD);
    head(32, 1, REPRESENT_MEAN | REPRESENT_SD);
    return 0;
}
