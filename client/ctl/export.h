#pragma once
// The experience log as a data set: one row for each transition, by session name, writer and number.
//
//     csv     a line of column names, then a line each: session, model, model_digest, writer, seq, task, status, first, last,
//             taken_ms, reward, observation_0..., action_0..., next_observation_0...
//     jsonl   a JSON object a line with the same names; the three vectors are arrays, what is not finite is null
//     npy     one structured array for numpy.load, also with mmap_mode: the same names; the vectors are (n,) float32
//
// status is a name in csv and jsonl ("absorbed"), and its number in npy. In csv and npy all rows have the same dimensions.

#include <stdio.h>

struct export_options {
    const char *session;  // only this one; NULL: all
    const char *model;    // only sessions of the model of this name; NULL: all
    const char *format;   // "csv", "jsonl" or "npy"; NULL: csv
};

// 0; 1 with a sentence in `why`: nothing was written, unless it is about writing or about a damaged row, where the sentence
// says so. *rows: how many were written. A daemon may be writing meanwhile.
int export_run(const char *data_directory, const struct export_options *options, FILE *out, unsigned long long *rows,
               char *why, size_t why_size);
