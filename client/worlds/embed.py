#!/usr/bin/env python3
"""Writes a file as a C array, so that a program carries its models with it and runs from anywhere.

    embed.py INPUT OUTPUT NAME      ->      const char NAME[] = {...}; const size_t NAME_size = ...;
"""
import sys

path, output, name = sys.argv[1:]
with open(path, "rb") as file:
    data = file.read()
with open(output, "w") as file:
    file.write(f"#include <stddef.h>\n\nextern const char {name}[];\nextern const size_t {name}_size;\n\n")
    file.write(f"const size_t {name}_size = {len(data)};\nconst char {name}[] = {{")
    for i, byte in enumerate(data):
        file.write("\n    " if i % 20 == 0 else " ")
        file.write(f"{byte if byte < 128 else byte - 256},")
    file.write("\n};\n")
