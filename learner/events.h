#pragma once
// What a training says about itself: JSON lines (one object per iteration, append-only), a TensorBoard event file
// beside it, and one progress line on a terminal (otherwise one plain line now and then).
//
// A resumed run appends; lines of iterations that the resume repeats are cut off first.

#include <stddef.h>
#include <stdint.h>

struct events;

struct events_value {
    const char *name;  // "return/episode_1"; TensorBoard groups by the slash
    double value;
};

// directory is made if missing: train.jsonl and events.out.tfevents.* go there. resume_frames: lines with a larger
// "frames" are dropped; 0 starts a new file. quiet: no progress line. NULL directory: progress line only.
int events_open(struct events **events, const char *directory, uint64_t resume_frames, int quiet);
void events_close(struct events *events);

// One iteration. text: the progress line.
int events_write(struct events *events, uint64_t frames, double seconds, const struct events_value *values,
                 size_t count, const char *text);
