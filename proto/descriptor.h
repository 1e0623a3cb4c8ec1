#pragma once
// What the services look like, for tools that ask: the compiled .proto files that are built into the program, each a
// FileDescriptorProto. They are read with a walker over fields; nothing is allocated.

#include "wire.h"

// The i-th file: 1, or 0 beyond the last.
int descriptor_file(size_t i, struct wire_bytes *file);
// 0: there is none. A symbol is a full name: package.Service, package.Service.Method, package.Message.field, ...
int descriptor_named(const char *name, struct wire_bytes *file);
int descriptor_with_symbol(const char *symbol, struct wire_bytes *file);
