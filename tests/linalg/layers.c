// Layers and tanh: every compiled set of kernels against the plain loops that define them, bit for bit, and tanh against
// arithmetic with more digits.

#include "numbers.h"

#include <math.h>

static void plain_layer(float *out, const float *in, const float *weight, const float *bias, size_t inputs,
                        size_t outputs)
{
    for (size_t o = 0; o < outputs; o++) {
        out[o] = bias[o];
        for (size_t i = 0; i < inputs; i++)
            out[o] = fmaf(in[i], weight[i * kernel_padded(outputs) + o], out[o]);
    }
}

static void check_layer(const struct kernels *kernels, struct random_stream *stream, size_t batch, size_t inputs,
                        size_t outputs, int with_tanh)
{
    size_t columns = kernel_padded(outputs), in_stride = inputs + random_below(stream, 20);
    size_t out_stride = columns + random_below(stream, 20), out_size = batch * out_stride * sizeof(float);
    float *in = random_floats(stream, batch * in_stride, 1.5), *bias = random_floats(stream, columns, 0.5);
    float *weight = random_floats(stream, inputs * columns, 0.5);
    float *out = memory_new(out_size), *expected = memory_new(outputs * sizeof *expected);

    kernels->layer(out, out_stride, in, in_stride, weight, bias, batch, inputs, outputs, with_tanh);
    for (size_t b = 0; b < batch; b++) {
        plain_layer(expected, in + b * in_stride, weight, bias, inputs, outputs);
        if (with_tanh)
            kernels_at(0)->tanh(expected, outputs);
        for (size_t o = 0; o < outputs; o++) {
            float value = out[b * out_stride + o];
            CHECK(!memcmp(&value, &expected[o], sizeof value),
                  "%s: %zu -> %zu, row %zu of %zu, output %zu: %a, not %a", kernels->name, inputs, outputs,
                  b, batch, o, (double)value, (double)expected[o]);
        }
        CHECK(is_untouched(out + b * out_stride + columns, (out_stride - columns) * sizeof *out),
              "%s: %zu -> %zu, row %zu: wrote past the padding", kernels->name, inputs, outputs, b);
    }
    free(in);
    free(bias);
    free(weight);
    free(out);
    free(expected);
}

START_TEST(layers_are_one_chain_of_fused_multiply_adds_per_output)
{
    struct random_stream stream = random_stream(7, 0, 0, 1);
    for (size_t i = 0; kernels_at(i); i++) {
        for (size_t batch = 1; batch <= 64; batch++)
            check_layer(kernels_at(i), &stream, batch, 1 + random_below(&stream, 40), 1 + random_below(&stream, 100),
                        batch % 2);
        for (size_t outputs = 1; outputs <= 320; outputs += 13)
            check_layer(kernels_at(i), &stream, 1 + random_below(&stream, 4), 1 + random_below(&stream, 30), outputs,
                        outputs % 2);
        check_layer(kernels_at(i), &stream, 1, 1, 1, 0);
        check_layer(kernels_at(i), &stream, 3, 0, 5, 1);
    }
}
END_TEST

START_TEST(a_row_has_the_same_bits_alone_and_anywhere_in_a_batch)
{
    enum { INPUTS = 39, OUTPUTS = 50, BATCH = 37 };
    struct random_stream stream = random_stream(7, 0, 0, 2);
    size_t columns = kernel_padded(OUTPUTS);
    float *in = random_floats(&stream, BATCH * INPUTS, 1.5), *bias = random_floats(&stream, columns, 0.5);
    float *weight = random_floats(&stream, INPUTS * columns, 0.5);
    float *out = memory_new(BATCH * columns * sizeof *out), *alone = memory_new(columns * sizeof *alone);
    for (size_t i = 0; kernels_at(i); i++) {
        const struct kernels *kernels = kernels_at(i);
        for (size_t batch = 1; batch <= BATCH; batch++) {
            kernels->layer(out, columns, in, INPUTS, weight, bias, batch, INPUTS, OUTPUTS, 1);
            for (size_t b = 0; b < batch; b++) {
                kernels_best()->layer(alone, columns, in + b * INPUTS, INPUTS, weight, bias, 1, INPUTS, OUTPUTS, 1);
                CHECK(!memcmp(alone, out + b * columns, OUTPUTS * sizeof *alone), "%s: row %zu of %zu",
                      kernels->name, b, batch);
            }
        }
    }
    free(in);
    free(bias);
    free(weight);
    free(out);
    free(alone);
}
END_TEST

static float float_of(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static uint32_t bits_of(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

// Steps through all finite floats, a prime number of units in the last place at a time.
static void check_tanh(const struct kernels *kernels, uint32_t step)
{
    enum { COUNT = 1000 };
    static float x[COUNT], y[COUNT], negative[COUNT];
    double worst = 0;
    float worst_at = 0;
    for (uint64_t bits = 0; bits < 0x7f800000;) {
        for (size_t i = 0; i < COUNT; i++, bits += step) {
            y[i] = x[i] = float_of(bits < 0x7f800000 ? (uint32_t)bits : 0x7f7fffff);
            negative[i] = -x[i];
        }
        kernels->tanh(y, COUNT);
        kernels->tanh(negative, COUNT);
        for (size_t i = 0; i < COUNT; i++) {
            double error = fabs((double)y[i] - tanh((double)x[i]));
            if (!(error <= worst)) {
                worst = error;
                worst_at = x[i];
            }
            CHECK(y[i] >= 0 && y[i] <= 1, "%s: tanh(%a) = %a", kernels->name, (double)x[i], (double)y[i]);
            CHECK(bits_of(negative[i]) == (bits_of(y[i]) | 0x80000000), "%s: tanh(-%a) = %a, tanh(%a) = %a",
                  kernels->name, (double)x[i], (double)negative[i], (double)x[i], (double)y[i]);
        }
    }
    CHECK(worst < 5e-7, "%s: tanh(%a) is off by %g", kernels->name, (double)worst_at, worst);
}

START_TEST(tanh_is_odd_bounded_and_within_5e_7_at_floats_of_every_exponent)
{
    for (size_t i = 0; kernels_at(i); i++)
        check_tanh(kernels_at(i), i ? 1009 : 10007);
}
END_TEST

START_TEST(tanh_is_close_relative_to_small_arguments)
{
    struct random_stream stream = random_stream(7, 0, 0, 3);
    for (size_t i = 0; kernels_at(i); i++)
        for (int round = 0; round < 100000; round++) {
            float x = ldexpf((float)random_between(&stream, -1, 1), -(int)random_below(&stream, 140)), y = x;
            kernels_at(i)->tanh(&y, 1);
            double exact = tanh((double)x), error = fabs(y - exact);
            CHECK(error <= 2e-6 * fabs(exact) + 0x1p-149, "%s: tanh(%a) = %a, not %a", kernels_at(i)->name,
                  (double)x, (double)y, exact);
        }
}
END_TEST

START_TEST(tanh_keeps_zeros_infinities_and_nans)
{
    for (size_t i = 0; kernels_at(i); i++)
        for (size_t count = 1; count <= 40; count++) {
            float x[41];
            const float special[] = {0.0f, -0.0f, INFINITY, -INFINITY, 9, -9, 3e38f};
            const float result[] = {0.0f, -0.0f, 1, -1, 1, -1, 1};
            for (size_t k = 0; k < 7; k++) {
                for (size_t j = 0; j < 41; j++)
                    x[j] = special[k];
                kernels_at(i)->tanh(x, count);
                for (size_t j = 0; j < 41; j++) {
                    float expected = j < count ? result[k] : special[k];
                    CHECK(bits_of(x[j]) == bits_of(expected), "%s: tanh(%g) = %g, %zu of %zu",
                          kernels_at(i)->name, (double)special[k], (double)x[j], j, count);
                }
            }
            x[count - 1] = NAN;
            kernels_at(i)->tanh(x, count);
            CHECK(isnan(x[count - 1]), "%s: tanh(NaN) = %g", kernels_at(i)->name, (double)x[count - 1]);
        }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("linalg layers");
    SUITE_TEST(suite, layers_are_one_chain_of_fused_multiply_adds_per_output);
    SUITE_TEST(suite, a_row_has_the_same_bits_alone_and_anywhere_in_a_batch);
    SUITE_TEST(suite, tanh_is_odd_bounded_and_within_5e_7_at_floats_of_every_exponent);
    SUITE_TEST(suite, tanh_is_close_relative_to_small_arguments);
    SUITE_TEST(suite, tanh_keeps_zeros_infinities_and_nans);
    return suite_finish(suite);
}
