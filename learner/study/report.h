#pragma once
// Tables and pictures of experiments: one Markdown file, and SVGs in a directory beside it.

#include "results.h"

// path ends with ".md"; pictures go to the directory of the same name without it. command: what made the report. 0 or
// a negative errno with a sentence.
int report_write(const struct results *all, size_t count, const char *path, const char *command, char *why,
                 size_t why_size);

// Within report_write: pictures of one world of an experiment, cells first .. end; base: path without ".learning.svg"
// and so on. Sets which there are.
struct report_pictures {
    int scores, learning, adaptation;
};
int report_draw(struct report_pictures *made, const struct results *results, size_t first, size_t end,
                const char *base, char *why, size_t why_size);
// "commit 0123abc, kernels for Cooperlake" of the cells, as many as there are.
void report_origin(const struct results *results, size_t first, size_t end, char *text, size_t size);
