// Dense layers and tanh, in floats.
//
// A tile of rows (samples) x vectors (of outputs) stays in registers while the inputs go by, so each
// weight is loaded once per tile and each input spread once. Tiles choose only which results are
// computed together; each result is a chain of its own.

#include "set.h"
#include "simd.h"

// Sums that stay in registers, beside the weights and an input, and rows that a tile has at most.
enum {
    SUMS = SIMD_REGISTERS * 3 / 4,
    ROWS = SUMS / (F32_LANES > 4 ? 2 : 4),
    WIDEST = 16,
};

// tanh x = x P(x^2) / Q(x^2) for |x| <= 8.5: a minimax fit by iterated weighted least squares (Lawson), then
// its float coefficients moved by units in the last place until the result in floats was best. Off by 3.7e-7
// at most over all floats. At 8.5 it lies just above 1, so there and beyond the result is exactly 1; a
// constant term of 1 in both keeps small x as they are. The comparisons let a NaN through.
SIMD_INLINE f32v rational_tanh(f32v x)
{
    x = f32_max(f32_all(-8.5f), f32_min(f32_all(8.5f), x));
    f32v t = f32_mul(x, x), one = f32_all(1);
    f32v p = f32_fma(t, f32_all(0x1.30164p-27f), f32_all(0x1.20d31ap-16f));
    f32v q = f32_fma(t, f32_all(0x1.3c2e0ap-21f), f32_all(0x1.349c5cp-12f));
    p = f32_fma(p, t, f32_all(0x1.ae6ddcp-9f));
    q = f32_fma(q, t, f32_all(0x1.9ab146p-6f));
    p = f32_fma(p, t, f32_all(0x1.0e5c78p-3f));
    q = f32_fma(q, t, f32_all(0x1.dc835ep-2f));
    p = f32_fma(p, t, one);
    q = f32_fma(q, t, one);
    f32v y = f32_div(f32_mul(x, p), q);
    return f32_max(f32_all(-1), f32_min(one, y));
}

void KERNEL(tanh)(float *x, size_t count)
{
    size_t i = 0;
    for (; i + F32_LANES <= count; i += F32_LANES)
        f32_store(x + i, rational_tanh(f32_load(x + i)));
    if (i < count)
        f32_store_first(x + i, rational_tanh(f32_load_first(x + i, count - i)), count - i);
}

SIMD_INLINE f32v activated(f32v x, enum activation activation)
{
    switch (activation) {
    case ACTIVATION_TANH:
        return rational_tanh(x);
    case ACTIVATION_RELU:
        return f32_max(f32_all(0), x);
    default:
        return x;
    }
}

// One pass over a block of rows; a tile begins at some output of it.
struct pass {
    float *out;
    const float *in, *weight, *bias;
    size_t out_stride, in_stride, columns, inputs;
    enum activation activation;
};

SIMD_INLINE void tile(const struct pass *pass, size_t column, const int rows, const int vectors)
{
    const float *weight = pass->weight + column;
    f32v sum[ROWS][WIDEST], w[WIDEST];
    SIMD_UNROLL
    for (int r = 0; r < rows; r++)
        SIMD_UNROLL
        for (int v = 0; v < vectors; v++)
            sum[r][v] = f32_load(pass->bias + column + v * F32_LANES);
    for (size_t i = 0; i < pass->inputs; i++, weight += pass->columns) {
        SIMD_UNROLL
        for (int v = 0; v < vectors; v++)
            w[v] = rows > 1 ? f32_load_once(weight + v * F32_LANES) : f32_load(weight + v * F32_LANES);
        SIMD_UNROLL
        for (int r = 0; r < rows; r++) {
            f32v x = f32_all(pass->in[r * pass->in_stride + i]);
            SIMD_UNROLL
            for (int v = 0; v < vectors; v++)
                sum[r][v] = f32_fma(x, w[v], sum[r][v]);
        }
    }
    SIMD_UNROLL
    for (int r = 0; r < rows; r++) {
        float *out = pass->out + r * pass->out_stride + column;
        SIMD_UNROLL
        for (int v = 0; v < vectors; v++)
            f32_store(out + v * F32_LANES, activated(sum[r][v], pass->activation));
    }
}

// All outputs of `rows` rows: tiles as wide as the registers allow, then narrower ones.
SIMD_INLINE void strip(const struct pass *pass, const int rows)
{
    size_t vectors = pass->columns / F32_LANES, v = 0;
    if (rows * 16 <= SUMS)
        for (; vectors - v >= 16; v += 16)
            tile(pass, v * F32_LANES, rows, 16);
    if (rows * 8 <= SUMS)
        for (; vectors - v >= 8; v += 8)
            tile(pass, v * F32_LANES, rows, 8);
    if (rows * 4 <= SUMS)
        for (; vectors - v >= 4; v += 4)
            tile(pass, v * F32_LANES, rows, 4);
    if (KERNEL_LANES / F32_LANES <= 2)
        for (; vectors - v >= 2; v += 2)
            tile(pass, v * F32_LANES, rows, 2);
    if (KERNEL_LANES / F32_LANES <= 1 && v < vectors)
        tile(pass, v * F32_LANES, rows, 1);
}

// The row count is a constant inside each tile.
static void strip_of(const struct pass *pass, size_t rows)
{
#define STRIP(count)             \
    case count:                  \
        if (count <= ROWS)       \
            strip(pass, count);  \
        break
    switch (rows) {
        STRIP(1);
        STRIP(2);
        STRIP(3);
        STRIP(4);
        STRIP(5);
        STRIP(6);
        STRIP(7);
        STRIP(8);
        STRIP(9);
        STRIP(10);
        STRIP(11);
        STRIP(12);
    }
#undef STRIP
}

void KERNEL(layer)(float *out, size_t out_stride, const float *in, size_t in_stride, const float *weight,
                   const float *bias, size_t batch, size_t inputs, size_t outputs, enum activation activation)
{
    struct pass pass = {.out = out, .in = in, .weight = weight, .bias = bias, .out_stride = out_stride,
                        .in_stride = in_stride, .columns = kernel_padded(outputs), .inputs = inputs,
                        .activation = activation};
    // Blocks of nearly equal height: 64 rows are four of 11 and two of 10, not five of 12 and one of 4.
    for (size_t blocks = (batch + ROWS - 1) / ROWS; blocks; blocks--) {
        size_t rows = (batch + blocks - 1) / blocks;
        strip_of(&pass, rows);
        pass.out += rows * out_stride;
        pass.in += rows * in_stride;
        batch -= rows;
    }
}
