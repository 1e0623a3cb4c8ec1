// Runs a fuzz target over every file of the directories given, as libFuzzer would: a corpus as a test.

#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

// Each input in a block of its own size, so that a sanitizer sees the first byte read beyond it. 0: it cannot be
// read.
static int replay_file(const char *path)
{
    FILE *stream = fopen(path, "rb");
    struct stat status;
    if (stream == NULL || fstat(fileno(stream), &status)) {
        perror(path);
        return 0;
    }
    size_t size = (size_t)status.st_size;
    uint8_t *bytes = malloc(size ? size : 1);
    int good = bytes && fread(bytes, 1, size, stream) == size;
    if (good)
        LLVMFuzzerTestOneInput(bytes, size);
    else
        perror(path);
    free(bytes);
    fclose(stream);
    return good;
}

// How many files were run; -1: something could not be read.
static long replay_directory(const char *path)
{
    DIR *directory = opendir(path);
    if (directory == NULL) {
        perror(path);
        return -1;
    }
    long count = 0;
    const struct dirent *entry;
    while (count >= 0 && (entry = readdir(directory))) {
        char name[4096];
        if (entry->d_name[0] == '.')
            continue;
        snprintf(name, sizeof name, "%s/%s", path, entry->d_name);
        count = replay_file(name) ? count + 1 : -1;
    }
    closedir(directory);
    return count;
}

int main(int count, char **arguments)
{
    long files = 0;
    for (int i = 1; i < count; i++) {
        long some = replay_directory(arguments[i]);
        if (some < 0)
            return 1;
        files += some;
    }
    // A corpus that is not there would prove nothing.
    if (files == 0)
        fputs("no files\n", stderr);
    return files == 0;
}
