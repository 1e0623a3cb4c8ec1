// The kernels of a step, timed beside OpenBLAS doing the same work and beside the fused multiply-adds
// that this core can do at best.
//
// Other work on the machine only ever adds time, and it comes and goes: so both sides of a contest take
// turns in short samples of processor time, and each is judged by its fastest sample.

#include "kernels.h"

#include "daemon/base/random.h"
#include "daemon/linalg/kernels.h"

#include <cblas.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#ifdef __x86_64__
#include <immintrin.h>
#endif
#ifdef __aarch64__
#include <arm_neon.h>
#endif

enum {
    ROUNDS = 200,           // samples of each side
    SAMPLE_NS = 400 * 1000, // length of one, long beside the clock's own cost
    TARGETS = 20,           // of a posterior
};

// LAPACK as Fortran knows it; OpenBLAS brings it, Debian's packages bring no header for it.
void dpotrf_(const char *uplo, const int *n, double *a, const int *lda, int *info);
void dpotrs_(const char *uplo, const int *n, const int *nrhs, const double *a, const int *lda, double *b,
             const int *ldb, int *info);

static const struct kernels *kernels;
static double peak_f32, peak_f64;  // flops per nanosecond

// Clock and memory

static double processor_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

// Zeroed; lives as long as the program.
static void *memory_new(size_t size)
{
    size = (size + KERNEL_ALIGNMENT) / KERNEL_ALIGNMENT * KERNEL_ALIGNMENT;
    void *memory = aligned_alloc(KERNEL_ALIGNMENT, size);
    if (!memory) {
        perror("bel-bench");
        exit(1);
    }
    return memset(memory, 0, size);
}

static float *random_floats(struct random_stream *stream, size_t count, double limit)
{
    float *x = memory_new(count * sizeof *x);
    for (size_t i = 0; i < count; i++)
        x[i] = (float)random_between(stream, -limit, limit);
    return x;
}

// Peak: chains of multiply-adds that never leave the registers, enough of them to hide their latency.

enum { CHAINS = 12, PEAK_STEPS = 1000 };

#ifdef __clang__
#define PEAK_UNROLL _Pragma("unroll")
#else
#define PEAK_UNROLL _Pragma("GCC unroll 16")
#endif

#define PEAK(name, attributes, vector, set, fma)                            \
    attributes static void name(void)                                       \
    {                                                                       \
        vector a = set(0.5f), b = set(1), chain[CHAINS];                    \
        PEAK_UNROLL                                                         \
        for (int i = 0; i < CHAINS; i++)                                    \
            chain[i] = a;                                                   \
        for (int step = 0; step < PEAK_STEPS; step++)                       \
            PEAK_UNROLL                                                     \
            for (int i = 0; i < CHAINS; i++) {                              \
                chain[i] = fma;                                             \
                __asm__ volatile("" : PEAK_REGISTER(chain[i]));             \
            }                                                               \
    }

#if defined(__x86_64__)
#define PEAK_REGISTER(x) "+v"(x)
PEAK(peak_v4_f32, __attribute__((target("avx512f"))), __m512, _mm512_set1_ps, _mm512_fmadd_ps(chain[i], a, b))
PEAK(peak_v4_f64, __attribute__((target("avx512f"))), __m512d, _mm512_set1_pd, _mm512_fmadd_pd(chain[i], a, b))
PEAK(peak_v3_f32, __attribute__((target("avx2,fma"))), __m256, _mm256_set1_ps, _mm256_fmadd_ps(chain[i], a, b))
PEAK(peak_v3_f64, __attribute__((target("avx2,fma"))), __m256d, _mm256_set1_pd, _mm256_fmadd_pd(chain[i], a, b))
// Without fused multiply-add: one multiplication and one addition.
PEAK(peak_plain_f32, , __m128, _mm_set1_ps, _mm_add_ps(_mm_mul_ps(chain[i], a), b))
PEAK(peak_plain_f64, , __m128d, _mm_set1_pd, _mm_add_pd(_mm_mul_pd(chain[i], a), b))
#elif defined(__aarch64__)
#define PEAK_REGISTER(x) "+w"(x)
PEAK(peak_plain_f32, , float32x4_t, vdupq_n_f32, vfmaq_f32(b, chain[i], a))
PEAK(peak_plain_f64, , float64x2_t, vdupq_n_f64, vfmaq_f64(b, chain[i], a))
#endif

struct peak {
    const char *set;
    int bits;
    void (*f32)(void), (*f64)(void);
};

static const struct peak *peak_of(const char *set)
{
    static const struct peak peaks[] = {
#ifdef __x86_64__
        {"x86-64-v4", 512, peak_v4_f32, peak_v4_f64},
        {"x86-64-v3", 256, peak_v3_f32, peak_v3_f64},
#endif
        {"generic", 128, peak_plain_f32, peak_plain_f64},
    };
    size_t i = 0;
    while (strcmp(peaks[i].set, set))
        i++;
    return &peaks[i];
}

static void measure_peak(void)
{
    const struct peak *peak = peak_of(kernels->name);
    for (int round = 0; round < 20; round++) {
        double start = processor_ns();
        for (int i = 0; i < 20; i++)
            peak->f32();
        double middle = processor_ns();
        for (int i = 0; i < 20; i++)
            peak->f64();
        double end = processor_ns(), flop_bits = 20.0 * PEAK_STEPS * CHAINS * 2 * peak->bits;
        double f32 = flop_bits / 32 / (middle - start), f64 = flop_bits / 64 / (end - middle);
        peak_f32 = f32 > peak_f32 ? f32 : peak_f32;
        peak_f64 = f64 > peak_f64 ? f64 : peak_f64;
    }
}

// A contest

struct contest {
    const char *name, *peer;
    char shape[48];
    double flops, *peak;  // of our side, and what they are compared with; NULL: not a matter of flops
    void (*ours)(void *data), (*theirs)(void *data);
    void *data;
    double ns, peer_ns;
};

static double sample(void (*run)(void *), void *data, size_t count)
{
    double start = processor_ns();
    for (size_t i = 0; i < count; i++)
        run(data);
    return (processor_ns() - start) / (double)count;
}

static size_t calls_per_sample(void (*run)(void *), void *data)
{
    run(data);
    double ns = sample(run, data, 20);
    return ns < SAMPLE_NS ? (size_t)(SAMPLE_NS / (ns + 1)) + 1 : 1;
}

static void hold(struct contest *contest)
{
    size_t count = calls_per_sample(contest->ours, contest->data);
    size_t peer_count = calls_per_sample(contest->theirs, contest->data);
    contest->ns = contest->peer_ns = 1e300;
    for (int round = 0; round < ROUNDS; round++) {
        double ns = sample(contest->ours, contest->data, count);
        double peer_ns = sample(contest->theirs, contest->data, peer_count);
        contest->ns = ns < contest->ns ? ns : contest->ns;
        contest->peer_ns = peer_ns < contest->peer_ns ? peer_ns : contest->peer_ns;
    }
}

// Sums: one transition into the exact sum, against a packed rank-1 update in doubles

struct sum_contest {
    int P, sign;
    uint64_t *low;
    int64_t *high;
    int32_t *z;
    double *packed, *x;
};

static void sum_ours(void *data)
{
    struct sum_contest *sum = data;
    sum->sign = -sum->sign;
    kernels->sum_add(sum->low, sum->high, sum->z, (size_t)sum->P, sum->sign);
}

static void sum_theirs(void *data)
{
    struct sum_contest *sum = data;
    sum->sign = -sum->sign;
    cblas_dspr(CblasColMajor, CblasLower, sum->P, sum->sign, sum->x, 1, sum->packed);
}

static struct contest sum_contest(struct random_stream *stream, int P)
{
    struct sum_contest *sum = memory_new(sizeof *sum);
    size_t entries = (size_t)P * ((size_t)P + 1) / 2;
    *sum = (struct sum_contest){.P = P, .sign = -1};
    sum->low = memory_new(entries * sizeof *sum->low);
    sum->high = memory_new(entries * sizeof *sum->high);
    sum->z = memory_new(kernel_padded((size_t)P) * sizeof *sum->z);
    sum->packed = memory_new(entries * sizeof *sum->packed);
    sum->x = memory_new((size_t)P * sizeof *sum->x);
    for (int i = 0; i < P; i++) {
        sum->x[i] = random_between(stream, -1, 1);
        sum->z[i] = (int32_t)(sum->x[i] * 0x1p24);
    }
    struct contest contest = {.name = "sum", .peer = "dspr", .ours = sum_ours, .theirs = sum_theirs, .data = sum};
    snprintf(contest.shape, sizeof contest.shape, "P=%d", P);
    return contest;
}

// Posterior: from sums to the factor and the mean, against a copy of the matrix, dpotrf and dpotrs

struct posterior_contest {
    int D, P;
    size_t stride, out_stride;
    uint64_t *low;
    int64_t *high;
    double *prior, *panel, *mean;
    double *A, *B, *A_copy, *B_copy;  // (D, D) and (D, TARGETS), column-major
};

static void posterior_ours(void *data)
{
    struct posterior_contest *p = data;
    size_t D = (size_t)p->D, P = (size_t)p->P;
    kernels->sum_to_panel(p->panel, p->stride, p->prior, p->low, p->high, P, D, P);
    if (kernels->factor(p->panel, p->stride, D, P))
        abort();
    kernels->back_substitute(p->mean, p->out_stride, p->panel, p->stride, D, D, TARGETS);
}

static void posterior_theirs(void *data)
{
    struct posterior_contest *p = data;
    size_t D = (size_t)p->D;
    int info, targets = TARGETS;
    memcpy(p->A_copy, p->A, D * D * sizeof *p->A);
    memcpy(p->B_copy, p->B, D * TARGETS * sizeof *p->B);
    dpotrf_("L", &p->D, p->A_copy, &p->D, &info);
    if (info)
        abort();
    dpotrs_("L", &p->D, &targets, p->A_copy, &p->D, p->B_copy, &p->D, &info);
}

static struct contest posterior_contest(struct random_stream *stream, int D)
{
    struct posterior_contest *p = memory_new(sizeof *p);
    size_t P = (size_t)D + TARGETS, entries = P * (P + 1) / 2, size = (size_t)D;
    *p = (struct posterior_contest){.D = D, .P = (int)P, .stride = kernel_padded(P),
                                    .out_stride = kernel_padded(TARGETS)};
    p->low = memory_new(entries * sizeof *p->low);
    p->high = memory_new(entries * sizeof *p->high);
    p->prior = memory_new(entries * sizeof *p->prior);
    p->panel = memory_new(size * p->stride * sizeof *p->panel);
    p->mean = memory_new(size * p->out_stride * sizeof *p->mean);
    p->A = memory_new(size * size * sizeof *p->A);
    p->A_copy = memory_new(size * size * sizeof *p->A);
    p->B = memory_new(size * TARGETS * sizeof *p->B);
    p->B_copy = memory_new(size * TARGETS * sizeof *p->B);
    int32_t *z = memory_new(kernel_padded(P) * sizeof *z);
    for (size_t step = 0; step < 4 * P; step++) {
        for (size_t i = 0; i < P; i++)
            z[i] = (int32_t)(random_between(stream, -1, 1) * 0x1p24);
        kernels->sum_add(p->low, p->high, z, P, 1);
    }
    for (size_t c = 0; c < P; c++)
        p->prior[c * P - c * (c - 1) / 2] = 1;
    kernels->sum_to_panel(p->panel, p->stride, p->prior, p->low, p->high, P, size, P);
    for (size_t c = 0; c < size; c++) {
        for (size_t r = c; r < size; r++)
            p->A[c * size + r] = p->A[r * size + c] = p->panel[c * p->stride + r];
        for (size_t r = 0; r < TARGETS; r++)
            p->B[r * size + c] = p->panel[c * p->stride + size + r];
    }
    double n = D;
    struct contest contest = {.name = "posterior", .peer = "dpotrf+dpotrs", .ours = posterior_ours,
                              .theirs = posterior_theirs, .data = p, .peak = &peak_f64,
                              .flops = n * n * n / 3 + 2 * n * n * TARGETS};
    snprintf(contest.shape, sizeof contest.shape, "D=%d N=%d", D, TARGETS);
    return contest;
}

// Forward pass of two tanh layers, against sgemv or sgemm and the same tanh

struct forward_contest {
    int batch, sizes[3];
    float *weight[2], *bias[2], *act[3];  // act[l] (batch, sizes[l]), rows padded
};

static void forward_ours(void *data)
{
    struct forward_contest *f = data;
    for (int l = 0; l < 2; l++) {
        size_t inputs = (size_t)f->sizes[l], outputs = (size_t)f->sizes[l + 1];
        kernels->layer(f->act[l + 1], kernel_padded(outputs), f->act[l], kernel_padded(inputs), f->weight[l],
                       f->bias[l], (size_t)f->batch, inputs, outputs, 1);
    }
}

static void forward_theirs(void *data)
{
    struct forward_contest *f = data;
    for (int l = 0; l < 2; l++) {
        int inputs = f->sizes[l], outputs = f->sizes[l + 1];
        float *out = f->act[l + 1];
        for (int b = 0; b < f->batch; b++)
            memcpy(out + b * outputs, f->bias[l], (size_t)outputs * sizeof *out);
        // out = bias + in W
        if (f->batch == 1)
            cblas_sgemv(CblasRowMajor, CblasTrans, inputs, outputs, 1, f->weight[l], outputs, f->act[l], 1, 1, out,
                        1);
        else
            cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, f->batch, outputs, inputs, 1, f->act[l], inputs,
                        f->weight[l], outputs, 1, out, outputs);
        kernels->tanh(out, (size_t)(f->batch * outputs));
    }
}

// sizes are multiples of KERNEL_LANES, so both sides see the same arrays.
static struct contest forward_contest(struct random_stream *stream, const int sizes[3], int batch)
{
    struct forward_contest *f = memory_new(sizeof *f);
    struct contest contest = {.name = "forward", .peer = batch == 1 ? "sgemv" : "sgemm", .ours = forward_ours,
                              .theirs = forward_theirs, .data = f, .peak = &peak_f32};
    f->batch = batch;
    memcpy(f->sizes, sizes, sizeof f->sizes);
    f->act[0] = random_floats(stream, (size_t)(batch * sizes[0]), 1);
    for (int l = 0; l < 2; l++) {
        f->weight[l] = random_floats(stream, (size_t)(sizes[l] * sizes[l + 1]), 0.2);
        f->bias[l] = random_floats(stream, (size_t)sizes[l + 1], 0.2);
        f->act[l + 1] = memory_new((size_t)(batch * sizes[l + 1]) * sizeof(float));
        contest.flops += 2.0 * batch * sizes[l] * sizes[l + 1];
    }
    snprintf(contest.shape, sizeof contest.shape, "%d->%d->%d B=%d", sizes[0], sizes[1], sizes[2], batch);
    return contest;
}

// Report

static double share(const struct contest *contest)
{
    return contest->flops / contest->ns / *contest->peak;
}

// OpenBLAS falls back to very old kernels where it does not know the processor, which flatters ours.
static int core_is_behind(const char *core)
{
    return !strcmp(kernels->name, "x86-64-v4") && strcmp(core, "SkylakeX") && strcmp(core, "Cooperlake") &&
           strcmp(core, "SapphireRapids");
}

static void print_table(const struct contest *contests, size_t count, const char *core)
{
    printf("kernels %s, OpenBLAS core %s; peak of multiply-adds: %.0f GFLOP/s f64, %.0f f32\n\n", kernels->name,
           core, peak_f64, peak_f32);
    printf("%-10s %-20s %10s  %-14s %10s %8s %9s\n", "kernel", "shape", "ns", "peer", "ns", "ratio", "of peak");
    for (size_t i = 0; i < count; i++) {
        const struct contest *c = &contests[i];
        printf("%-10s %-20s %10.1f  %-14s %10.1f %7.2fx", c->name, c->shape, c->ns, c->peer, c->peer_ns,
               c->ns / c->peer_ns);
        if (c->peak)
            printf(" %7.0f %%", 100 * share(c));
        putchar('\n');
    }
    if (core_is_behind(core))
        printf("\nOpenBLAS chose kernels without AVX-512 here; --openblas-core SkylakeX makes it use them.\n");
}

static void print_json(const struct contest *contests, size_t count, const char *core)
{
    printf("{\"kernels\":[");
    for (size_t i = 0; i < count; i++) {
        const struct contest *c = &contests[i];
        printf("%s{\"name\":\"%s\",\"shape\":\"%s\",\"ns\":%.1f,\"peer\":\"%s\",\"peer_ns\":%.1f,\"ratio\":%.4f,"
               "\"peak_share\":", i ? "," : "", c->name, c->shape, c->ns, c->peer, c->peer_ns, c->ns / c->peer_ns);
        if (c->peak)
            printf("%.4f}", share(c));
        else
            printf("null}");
    }
    printf("],\"set\":\"%s\",\"openblas_core\":\"%s\",\"peak_f32_gflops\":%.1f,\"peak_f64_gflops\":%.1f}\n",
           kernels->name, core, peak_f32, peak_f64);
}

// OpenBLAS chooses its kernels before main() and lets OPENBLAS_CORETYPE overrule it. Runs the program
// again, as it was called, where the variable is not what is wanted (NULL: not set).
static void restart_with_core(const char *core)
{
    const char *current = getenv("OPENBLAS_CORETYPE");
    if (core ? current && !strcmp(core, current) : !current)
        return;
    if (core) {
        setenv("OPENBLAS_CORETYPE", core, 1);
    } else {
        fprintf(stderr, "OPENBLAS_CORETYPE=%s is set; running again without it\n", current);
        unsetenv("OPENBLAS_CORETYPE");
    }
    static char line[1 << 16];
    char *argv[512];
    FILE *file = fopen("/proc/self/cmdline", "r");
    size_t size = file ? fread(line, 1, sizeof line - 1, file) : 0, count = 0;
    if (file)
        fclose(file);
    for (size_t at = 0; at < size && count < 511; at += strlen(line + at) + 1)
        argv[count++] = line + at;
    argv[count] = NULL;
    fflush(NULL);
    execv("/proc/self/exe", argv);
    fprintf(stderr, "bel-bench: cannot run again: %s\n", strerror(errno));
    exit(1);
}

static const char USAGE[] =
    "usage: bel-bench kernels [--json] [--set NAME] [--openblas-core NAME]\n"
    "\n"
    "Times the numeric kernels of a step in turns with OpenBLAS (one thread); best of many samples of\n"
    "processor time.\n"
    "\n"
    "  sum        one transition into the exact 128-bit sum; peer: rank-1 update in doubles\n"
    "  posterior  sums to panel, factor, mean; peer: copy, dpotrf, dpotrs\n"
    "  forward    two dense tanh layers; peer: bias, sgemv (one sample) or sgemm, our tanh\n"
    "\n"
    "  --json                last line is one JSON object\n"
    "  --set NAME            generic, x86-64-v3, x86-64-v4; default: what the daemon would choose\n"
    "  --openblas-core NAME  have OpenBLAS use this core's kernels (SkylakeX, Haswell, Zen, ...) instead of\n"
    "                        its own choice, which is a poor one on processors younger than it\n";

int bench_kernels(int argc, char **argv)
{
    static const struct option options[] = {{"json", no_argument, NULL, 'j'},
                                            {"set", required_argument, NULL, 's'},
                                            {"openblas-core", required_argument, NULL, 'o'},
                                            {"help", no_argument, NULL, 'h'},
                                            {0}};
    const char *set = NULL, *core = NULL;
    int json = 0;
    optind = 1;
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;)
        switch (option) {
        case 'j': json = 1; break;
        case 's': set = optarg; break;
        case 'o': core = optarg; break;
        case 'h': fputs(USAGE, stdout); return 0;
        default: fputs(USAGE, stderr); return 2;
        }
    if (optind < argc) {
        fputs(USAGE, stderr);
        return 2;
    }
    kernels = kernels_best();
    if (set) {
        size_t i = 0;
        while (kernels_at(i) && strcmp(kernels_at(i)->name, set))
            i++;
        kernels = kernels_at(i);
        if (!kernels) {
            fprintf(stderr, "bel-bench: no kernels named %s on this machine\n", set);
            return 2;
        }
    }
    restart_with_core(core);
    openblas_set_num_threads(1);

    static const int widths[][3] = {{64, 64, 64}, {160, 128, 128}, {160, 256, 256}}, batches[] = {1, 8, 32, 64};
    static const int sum_sizes[] = {36, 52, 71, 103}, features[] = {16, 32, 64};
    struct random_stream stream = random_stream(1, 0, 0, 0);
    struct contest contests[32];
    size_t count = 0;
    for (size_t i = 0; i < sizeof sum_sizes / sizeof *sum_sizes; i++)
        contests[count++] = sum_contest(&stream, sum_sizes[i]);
    for (size_t i = 0; i < sizeof features / sizeof *features; i++)
        contests[count++] = posterior_contest(&stream, features[i]);
    for (size_t i = 0; i < sizeof widths / sizeof *widths; i++)
        for (size_t b = 0; b < sizeof batches / sizeof *batches; b++)
            contests[count++] = forward_contest(&stream, widths[i], batches[b]);

    // The peak is taken between contests, so that it sees the clock that they see.
    for (size_t i = 0; i < count; i++) {
        measure_peak();
        hold(&contests[i]);
    }
    (json ? print_json : print_table)(contests, count, openblas_get_corename());
    return 0;
}
