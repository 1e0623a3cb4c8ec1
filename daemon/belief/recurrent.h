#pragma once
// A belief as the state of a recurrent network: what VariBAD and RL2 infer. Unlike a sum it depends on the order of
// what it absorbed, so it knows how far it has come: transitions have ascending numbers, and what comes late can
// not be absorbed any more.

#include "belief.h"

enum { RECURRENT_WIDTH_LIMIT = 512 };

struct recurrent {
    size_t width;          // H; 0: there is none
    uint64_t count;        // transitions absorbed
    uint64_t through;      // number of the last of them
    struct digest digest;  // of all of this; zero at the beginning
    float *state;          // h, |h| <= 1  (H)
};

size_t recurrent_size(size_t width);  // bytes of memory behind it, aligned
void recurrent_init(struct recurrent *recurrent, size_t width, void *memory);
void recurrent_reset(struct recurrent *recurrent);  // nothing seen, h = 0

// Transition number `number`, which is above `through`, made the state what it is now.
void recurrent_advance(struct recurrent *recurrent, const float *state, uint64_t number);
// Back to what it was; before->state need not be its own.
void recurrent_restore(struct recurrent *recurrent, const struct recurrent *before);
// The digest from everything else.
struct digest recurrent_digest(const struct recurrent *recurrent);

// Versioned, little-endian, canonical. decode checks everything, the digest too, and writes only on success:
// -EBADMSG (not such an encoding), -ENOTSUP (unknown version), -EINVAL (another width).
//     0   4  "BELR"
//     4   2  version, 1
//     6   2  zero
//     8   4  H
//     12  4  zero
//     16  8  count
//     24  8  through
//     32  16 digest, two words
//     48  4  per number of the state, IEEE 754 single precision
size_t recurrent_encoded_size(size_t width);
void recurrent_encode(uint8_t *out, const struct recurrent *recurrent);
int recurrent_decode(struct recurrent *recurrent, const uint8_t *bytes, size_t size);
