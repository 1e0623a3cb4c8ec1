#pragma once
// Fork-join over a few threads: run `work(context, part)` for part 0 .. parts-1 and wait for all.
//
// Which thread runs which part is nobody's business: a part writes only what is its own, and the caller adds up
// parts in order, so results do not depend on the number of threads. With one thread nothing is started.

#include <stddef.h>

struct pool;

struct pool *pool_start(unsigned threads);  // NULL: no memory or threads; 0 means one per processor
void pool_stop(struct pool *pool);
unsigned pool_threads(const struct pool *pool);

// thread (0 .. threads-1) tells which scratch the part may use.
typedef void pool_work(void *context, size_t part, unsigned thread);
void pool_run(struct pool *pool, pool_work *work, void *context, size_t parts);

// CPU seconds used by all threads of the process so far.
double pool_cpu_seconds(void);
