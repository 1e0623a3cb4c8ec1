// Dense layers forward and backward, and Adam.

#include "net.h"

#include "daemon/base/random.h"
#include "daemon/linalg/kernels.h"
#include "elementwise.h"
#include "learner/zeroes.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

void net_init(struct net *net, const size_t *sizes, size_t layer_count, int tanh_output)
{
    assert(layer_count > 0 && layer_count <= NET_LAYERS_LIMIT);
    *net = (struct net){.layer_count = layer_count, .tanh_output = tanh_output};
    memcpy(net->sizes, sizes, (layer_count + 1) * sizeof *sizes);
    for (size_t l = 0; l < layer_count; l++) {
        net->weight_at[l] = net->count;
        net->bias_at[l] = net->count + sizes[l] * sizes[l + 1];
        net->count = net->bias_at[l] + sizes[l + 1];
    }
}

// The shorter side's vectors become orthonormal, one after the other; `stride` walks along a vector.
static void orthonormalise(real *weight, size_t vectors, size_t length, size_t next, size_t stride)
{
    for (size_t i = 0; i < vectors; i++) {
        real *v = weight + i * next;
        for (int twice = 0; twice < 2; twice++)
            for (size_t j = 0; j < i; j++) {
                const real *u = weight + j * next;
                double dot = 0;
                for (size_t k = 0; k < length; k++)
                    dot += (double)u[k * stride] * (double)v[k * stride];
                for (size_t k = 0; k < length; k++)
                    v[k * stride] -= (real)dot * u[k * stride];
            }
        double square = 0;
        for (size_t k = 0; k < length; k++)
            square += (double)v[k * stride] * (double)v[k * stride];
        for (size_t k = 0; k < length; k++)
            v[k * stride] /= (real)sqrt(square);
    }
}

void net_orthogonal(const struct net *net, real *parameters, double hidden_gain, double output_gain,
                    struct random_stream *stream)
{
    memset(parameters, 0, net->count * sizeof *parameters);
    for (size_t l = 0; l < net->layer_count; l++) {
        size_t in = net->sizes[l], out = net->sizes[l + 1];
        real *weight = parameters + net->weight_at[l];
        for (size_t i = 0; i < in * out; i++)
            weight[i] = (real)random_normal(stream);
        if (out <= in)
            orthonormalise(weight, out, in, 1, out);
        else
            orthonormalise(weight, in, out, out, 1);
        real gain = (real)(l + 1 < net->layer_count ? hidden_gain : output_gain);
        for (size_t i = 0; i < in * out; i++)
            weight[i] *= gain;
    }
}

size_t net_activations(const struct net *net, size_t B)
{
    size_t width = 0;
    for (size_t l = 0; l < net->layer_count; l++)
        width += net->sizes[l + 1];
    return B * width;
}

static int is_bent(const struct net *net, size_t layer)
{
    return layer + 1 < net->layer_count || net->tanh_output;
}

void apply_tanh(real *x, size_t count)
{
#ifdef REAL_DOUBLE
    for (size_t i = 0; i < count; i++)
        x[i] = tanh(x[i]);
#else
    kernels_best()->tanh(x, count);
#endif
}

real *net_forward(const struct net *net, const real *parameters, real *activations, const real *in, size_t B)
{
    real *out = activations;
    for (size_t l = 0; l < net->layer_count; l++) {
        int K = (int)net->sizes[l], M = (int)net->sizes[l + 1];
        out = activations;
        // out = tanh?(bias + in W), or max(0, .)
        for (size_t b = 0; b < B; b++)
            memcpy(out + b * (size_t)M, parameters + net->bias_at[l], (size_t)M * sizeof *out);
        REAL(gemm)(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)B, M, K, 1, in, K,
                   parameters + net->weight_at[l], M, 1, out, M);
        if (is_bent(net, l) && net->relu)
            rectify(out, B * (size_t)M);
        else if (is_bent(net, l))
            apply_tanh(out, B * (size_t)M);
        in = out;
        activations += B * (size_t)M;
    }
    return out;
}

real *net_doutput(const struct net *net, real *dactivations, size_t B)
{
    return dactivations + net_activations(net, B) - B * net->sizes[net->layer_count];
}

void net_backward(const struct net *net, const real *parameters, real *gradient, const real *activations,
                  real *dactivations, const real *in, size_t B)
{
    const real *out = activations + net_activations(net, B);
    real *dout = dactivations + net_activations(net, B);
    for (size_t l = net->layer_count; l-- > 0;) {
        int K = (int)net->sizes[l], M = (int)net->sizes[l + 1];
        out -= B * (size_t)M;
        dout -= B * (size_t)M;
        const real *x = l ? out - B * (size_t)K : in;
        if (is_bent(net, l) && net->relu)
            rectify_backward(dout, out, B * (size_t)M);
        else if (is_bent(net, l))
            tanh_backward(dout, out, B * (size_t)M);  // tanh' = 1 - tanh^2
        // dW = in' dout,  dbias = sum over the batch,  din = dout W'
        if (gradient) {
            REAL(gemm)(CblasRowMajor, CblasTrans, CblasNoTrans, K, M, (int)B, 1, x, K, dout, M, 0,
                       gradient + net->weight_at[l], M);
            sum_rows(gradient + net->bias_at[l], dout, B, (size_t)M);
        }
        if (l)
            REAL(gemm)(CblasRowMajor, CblasNoTrans, CblasTrans, (int)B, K, M, 1, dout, M,
                       parameters + net->weight_at[l], M, 0, dout - B * (size_t)K, K);
    }
}

void net_dinput(const struct net *net, const real *parameters, real *din, const real *dactivations, size_t B)
{
    int K = (int)net->sizes[0], M = (int)net->sizes[1];
    REAL(gemm)(CblasRowMajor, CblasNoTrans, CblasTrans, (int)B, K, M, 1, dactivations, M,
               parameters + net->weight_at[0], M, 0, din, K);
}

double gradient_norm(const real *gradient, size_t count)
{
    return sqrt(sum_squares(gradient, count));
}

static void adam_step(struct adam *adam, real *parameters, const real *gradient, size_t count, double scale, double rate,
               double epsilon)
{
    const double beta1 = 0.9, beta2 = 0.999;
    adam->steps++;
    double steps = (double)adam->steps;
    // theta -= rate m^ / (sqrt(v^) + epsilon),  m^ = m / (1 - beta1^t),  v^ = v / (1 - beta2^t)
    double correct1 = 1 - pow(beta1, steps), correct2 = 1 - pow(beta2, steps);
    adam_update(parameters, adam->first, adam->second, gradient, count, (real)scale, (real)beta1, (real)beta2,
                (real)(rate / correct1), (real)(1 / sqrt(correct2)), (real)epsilon);
}

int trainee_init(struct trainee *trainee, size_t count)
{
    size_t padded = whole_lines(count);
    real *block = zeroes(4 * padded, sizeof *block);
    if (!block)
        return -ENOMEM;
    *trainee = (struct trainee){
        .count = count,
        .parameters = block,
        .gradient = block + padded,
        .adam = {.first = block + 2 * padded, .second = block + 3 * padded},
    };
    return 0;
}

void trainee_release(struct trainee *trainee)
{
    free(trainee->parameters);
    *trainee = (struct trainee){0};
}

int trainee_step(struct trainee *trainee, double rate, double limit, double epsilon, double *norm)
{
    *norm = gradient_norm(trainee->gradient, trainee->count);
    if (!isfinite(*norm))
        return -EDOM;
    double scale = *norm > limit ? limit / *norm : 1;
    adam_step(&trainee->adam, trainee->parameters, trainee->gradient, trainee->count, scale, rate, epsilon);
    return 0;
}
