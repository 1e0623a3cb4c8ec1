#pragma once
// Aliases of models on disk: lines "ALIAS MODEL" in the file `aliases` of the model directory, so that they are there
// after a restart. Without a model directory (NULL) nothing is written and nothing read.

#include "catalogue.h"

int aliases_write(const char *directory, const struct catalogue *catalogue, char *why, size_t why_size);
// Into a catalogue that nobody else has yet. One whose model is not served is logged and left out.
void aliases_read(const char *directory, struct catalogue *catalogue);
