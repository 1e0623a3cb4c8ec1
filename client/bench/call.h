#pragma once
// A gRPC client as small as one can be: nghttp2, one call at a time, bytes in and out.

#include "proto/frame.h"
#include "proto/wire.h"

struct bench_call;

struct bench_call *bench_call_new(void);  // NULL: no memory
void bench_call_free(struct bench_call *call);

// The next call of a method of belief.v1.Belief ("Step"), and whatever else HTTP/2 has to say. Bytes written to out; 0:
// they do not fit.
size_t bench_call_ask(struct bench_call *call, const char *method, struct wire_bytes message, uint8_t *out, size_t room);
// Takes what came. 1: the call is over, *reply is its message, which is valid until the next one; 0: not yet; -1: it
// failed, as bench_call_why says.
int bench_call_take(struct bench_call *call, struct frame_buffer *in, struct wire_bytes *reply);
const char *bench_call_why(const struct bench_call *call);
