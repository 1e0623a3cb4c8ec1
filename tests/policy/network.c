// A served network: the same bits for everybody, close to plain arithmetic in double.

#include "daemon/policy/gru.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/random.h"
#include "plain_network.h"
#include "tests/support/suite.h"

enum { BATCH = 64 };

static void fill(float *x, size_t count, struct random_stream *stream, double scale)
{
    for (size_t i = 0; i < count; i++)
        x[i] = (float)(scale * random_normal(stream));
}

static void fill_network(struct network *network, struct random_stream *stream)
{
    for (size_t l = 0; l < network->layer_count; l++) {
        struct layer *layer = &network->layers[l];
        for (size_t i = 0; i < layer->inputs; i++)
            fill(layer->weight + i * kernel_padded(layer->outputs), layer->outputs, stream,
                 1 / sqrt((double)layer->inputs));
        fill(layer->bias, layer->outputs, stream, 0.1);
    }
}

static struct network make_network(const size_t *sizes, size_t layer_count, enum activation output)
{
    struct network network;
    ck_assert_int_eq(network_init(&network, sizes, layer_count, output), 0);
    network.hidden = output == ACTIVATION_RELU ? ACTIVATION_RELU : ACTIVATION_TANH;
    struct random_stream stream = random_stream(1, (uint32_t)sizes[0], (uint32_t)layer_count, 0);
    fill_network(&network, &stream);
    return network;
}

static void *take(size_t count, size_t size)
{
    void *memory = aligned_alloc(KERNEL_ALIGNMENT, (count * size + 63) / 64 * 64);
    ck_assert_ptr_nonnull(memory);
    memset(memory, 0xff, (count * size + 63) / 64 * 64);  // floats start as NaN
    return memory;
}

// Shapes with widths that fill lanes, do not, and are one.
static const size_t shapes[][5] = {{88, 64, 64, 6}, {1, 1, 1, 1}, {17, 31, 33, 1}, {45, 16, 128, 15},
                                   {5, 48, 7, 2}};
enum { SHAPES = sizeof shapes / sizeof *shapes };

START_TEST(an_answer_is_the_same_bits_alone_and_in_any_place_of_any_batch_for_every_kernel_set)
{
    for (size_t s = 0; s < SHAPES; s++) {
        struct network network = make_network(shapes[s], 3, s % 3);
        size_t inputs = network_inputs(&network), outputs = network_outputs(&network);
        size_t stride = kernel_padded(outputs);
        float *in = take(BATCH * inputs, sizeof *in);
        float *alone = take(BATCH * stride, sizeof *alone), *out = take(BATCH * stride, sizeof *out);
        float *scratch = take(network_scratch(&network, BATCH), sizeof *scratch);
        struct random_stream stream = random_stream(2, (uint32_t)s, 0, 0);
        fill(in, BATCH * inputs, &stream, 1);

        for (size_t b = 0; b < BATCH; b++)
            network_forward(&network, kernels_at(0), alone + b * stride, stride, in + b * inputs, inputs, 1,
                            scratch);
        const struct kernels *kernels;
        for (size_t k = 0; (kernels = kernels_at(k)); k++)
            for (size_t batch = 1; batch <= BATCH; batch++) {
                size_t first = BATCH - batch;  // so that an item meets every place
                network_forward(&network, kernels, out, stride, in + first * inputs, inputs, batch, scratch);
                for (size_t b = 0; b < batch; b++)
                    ck_assert_msg(memcmp(out + b * stride, alone + (first + b) * stride,
                                         outputs * sizeof *out) == 0,
                                  "shape %zu, %s: item %zu differs in place %zu of %zu: %.9g, alone %.9g", s,
                                  kernels->name, first + b, b, batch, (double)out[b * stride],
                                  (double)alone[(first + b) * stride]);
            }
        network_release(&network);
        free(in), free(alone), free(out), free(scratch);
    }
}
END_TEST

START_TEST(an_answer_is_that_of_plain_loops_in_double)
{
    for (size_t s = 0; s < SHAPES; s++)
        for (size_t layers = 1; layers <= 3; layers++) {
            struct network network = make_network(shapes[s], layers, (s + layers) % 3);
            size_t inputs = network_inputs(&network), outputs = network_outputs(&network);
            size_t stride = kernel_padded(outputs);
            float *in = take(BATCH * inputs, sizeof *in), *out = take(BATCH * stride, sizeof *out);
            float *scratch = take(network_scratch(&network, BATCH), sizeof *scratch);
            struct random_stream stream = random_stream(3, (uint32_t)s, 0, 0);
            fill(in, BATCH * inputs, &stream, 1);
            network_forward(&network, kernels_best(), out, stride, in, inputs, BATCH, scratch);
            for (size_t b = 0; b < BATCH; b++) {
                double row[PLAIN_NETWORK_WIDTH], expected[PLAIN_NETWORK_WIDTH];
                for (size_t i = 0; i < inputs; i++)
                    row[i] = (double)in[b * inputs + i];
                plain_network(expected, &network, row);
                for (size_t o = 0; o < outputs; o++)
                    ck_assert_double_eq_tol((double)out[b * stride + o], expected[o], 1e-5);
            }
            network_release(&network);
            free(in), free(out), free(scratch);
        }
}
END_TEST

START_TEST(a_recurrence_is_the_same_bits_alone_and_in_any_batch_for_every_kernel_set)
{
    static const size_t widths[][2] = {{6, 19}, {40, 128}, {1, 1}, {16, 32}};
    enum { STEPS = 20 };
    for (size_t w = 0; w < sizeof widths / sizeof *widths; w++) {
        size_t X = widths[w][0], H = widths[w][1], stride = kernel_padded(H);
        struct gru gru;
        ck_assert_int_eq(gru_init(&gru, X, H), 0);
        struct random_stream stream = random_stream(4, (uint32_t)w, 0, 0);
        fill_network(&gru.input, &stream);
        fill_network(&gru.state, &stream);
        float *in = take(STEPS * BATCH * X, sizeof *in), *scratch = take(gru_scratch(&gru, BATCH), sizeof *scratch);
        float *alone = take(BATCH * stride, sizeof *alone), *h = take(BATCH * stride, sizeof *h);
        fill(in, STEPS * BATCH * X, &stream, 2);
        memset(alone, 0, BATCH * stride * sizeof *alone);
        for (size_t t = 0; t < STEPS; t++)
            for (size_t b = 0; b < BATCH; b++)
                gru_forward(&gru, kernels_at(0), alone + b * stride, stride, alone + b * stride, stride,
                            in + (t * BATCH + b) * X, X, 1, scratch);
        for (size_t b = 0; b < BATCH; b++)
            for (size_t i = 0; i < H; i++)
                ck_assert(fabsf(alone[b * stride + i]) <= 1);
        const struct kernels *kernels;
        for (size_t k = 0; (kernels = kernels_at(k)); k++)
            for (size_t batch = 1; batch <= BATCH; batch += batch < 18 ? 1 : 15) {
                size_t first = BATCH - batch;
                memset(h, 0, BATCH * stride * sizeof *h);
                for (size_t t = 0; t < STEPS; t++)
                    gru_forward(&gru, kernels, h, stride, h, stride, in + (t * BATCH + first) * X, X, batch, scratch);
                for (size_t b = 0; b < batch; b++)
                    ck_assert_msg(memcmp(h + b * stride, alone + (first + b) * stride, H * sizeof *h) == 0,
                                  "%zu wide, %s: item %zu of %zu differs", H, kernels->name, b, batch);
            }
        gru_release(&gru);
        free(in), free(scratch), free(alone), free(h);
    }
}
END_TEST

START_TEST(sizes_beyond_their_limits_are_refused)
{
    struct network network = {0};
    ck_assert_int_eq(network_init(&network, (size_t[]){4, 0, 2}, 2, 0), -EINVAL);
    ck_assert_int_eq(network_init(&network, (size_t[]){4, NETWORK_WIDTH_LIMIT + 1}, 1, 0), -EINVAL);
    ck_assert_int_eq(network_init(&network, (size_t[]){4, 4}, 0, 0), -EINVAL);
    ck_assert_int_eq(network_init(&network, (size_t[]){1, 1, 1, 1, 1, 1, 1, 1}, NETWORK_LAYERS_LIMIT + 1, 0),
                     -EINVAL);
    ck_assert_ptr_null(network.memory);
    struct gru gru;
    ck_assert_int_eq(gru_init(&gru, 4, NETWORK_WIDTH_LIMIT), -EINVAL);
    ck_assert_ptr_null(gru.input.memory);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("network");
    SUITE_TEST(suite, an_answer_is_the_same_bits_alone_and_in_any_place_of_any_batch_for_every_kernel_set);
    SUITE_TEST(suite, an_answer_is_that_of_plain_loops_in_double);
    SUITE_TEST(suite, a_recurrence_is_the_same_bits_alone_and_in_any_batch_for_every_kernel_set);
    SUITE_TEST(suite, sizes_beyond_their_limits_are_refused);
    return suite_finish(suite);
}
