#pragma once
// PEARL's inference (Rakelly et al. 2019): a network makes a Gaussian factor of each transition of a context, the
// posterior of the latent is their product with the prior N(0, I). Order-free, so any context will do.
//
// What a factor is, and its bounds, is what is served (daemon/belief/factors.h): from outputs u, p
//     m = 4 tanh(u / 4),  w = 16 sigmoid(p),    P = 1 + sum w,  mean = sum(w m) / P,  log variance = -ln P
//
// G groups (contexts) of a shard, n_g rows of group g, R rows of all; L latents.

#include "learner/nets/net.h"

struct random_stream;

enum { PEARL_HIDDEN_LAYERS = 2 };

struct pearl_net {
    size_t latent;            // L
    struct net net;           // [s, a, r, s'] -> u (L), p (L)
    struct trainee trainee;
};

int pearl_net_init(struct pearl_net *pearl, size_t inputs, const size_t hidden[PEARL_HIDDEN_LAYERS], size_t latent);
void pearl_net_release(struct pearl_net *pearl);
// Orthogonal; first factors say nothing of the mean and are weak (w = 16 sigmoid(-4) = 0.29).
void pearl_net_start(struct pearl_net *pearl, struct random_stream *stream);

// Working memory for some contexts, and what was inferred from them.
struct pearl_shard {
    size_t groups;            // G, of this pass
    uint32_t *count;          // n_g, may be 0: the prior             (G)
    real *in;                 // rows of group after group            (R, inputs)
    real *activations, *dactivations;
    real *mean, *log_variance;        // posterior                    (G, L)
    real *dmean, *dlog_variance;      // of the loss, by the caller   (G, L)
    real *gradient;           // of the parameters
};

// For at most so many groups and rows. NULL: no memory.
struct pearl_shard *pearl_shard_new(const struct pearl_net *pearl, size_t groups, size_t rows);
void pearl_shard_free(struct pearl_shard *shard);

// Posteriors of the contexts in the shard.
void pearl_infer(const struct pearl_net *pearl, struct pearl_shard *shard);
// Adds weight * d KL(posterior || N(0, I)) to dmean and dlog_variance; returns the sum of the divergences, nats.
double pearl_divergence(const struct pearl_net *pearl, struct pearl_shard *shard, double weight);
// After pearl_infer, with dmean and dlog_variance: shard->gradient.
void pearl_backward(const struct pearl_net *pearl, struct pearl_shard *shard);
