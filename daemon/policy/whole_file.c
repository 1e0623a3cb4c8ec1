// Files in one piece; the contract is in whole_file.h.
#include "whole_file.h"

#include "daemon/policy/refuse.h"
#include "daemon/policy/safetensors.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int whole_file_read(uint8_t **bytes, size_t *size, const char *path, char *why, size_t why_size)
{
    // Not blocking: a named pipe without a writer is refused below instead of waited for.
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat status;
    int error = fd < 0 || fstat(fd, &status) ? -errno : 0;
    if (error)
        error = refuse(why, why_size, error, "the file cannot be opened: %s", strerror(-error));
    else if (!S_ISREG(status.st_mode))
        error = refuse(why, why_size, -EINVAL, "it is not a regular file");
    else if (status.st_size > SAFETENSORS_FILE_LIMIT)
        error = refuse(why, why_size, -EFBIG, "the file has %lld bytes, more than %d", (long long)status.st_size,
                       SAFETENSORS_FILE_LIMIT);
    uint8_t *room = error ? NULL : malloc((size_t)status.st_size + 1);
    size_t done = 0;
    if (!error && !room)
        error = refuse(why, why_size, -ENOMEM, "no memory for the file");
    while (!error && done < (size_t)status.st_size) {
        ssize_t some = read(fd, room + done, (size_t)status.st_size - done);
        if (some > 0)
            done += (size_t)some;
        else if (some == 0 || errno != EINTR)
            error = some ? refuse(why, why_size, -errno, "the file cannot be read: %s", strerror(errno))
                         : refuse(why, why_size, -EIO, "the file cannot be read: it became shorter");
    }
    if (fd >= 0)
        close(fd);
    if (error)
        free(room);
    *bytes = error ? NULL : room;
    *size = done;
    return error;
}

int whole_file_write(const char *path, const uint8_t *bytes, size_t size)
{
    char temporary[PATH_MAX];
    if (snprintf(temporary, sizeof temporary, "%s.%ld", path, (long)getpid()) >= (int)sizeof temporary)
        return -ENAMETOOLONG;
    int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0)
        return -errno;
    int error = 0;
    for (size_t done = 0; done < size && !error;) {
        ssize_t some = write(fd, bytes + done, size - done);
        if (some >= 0)
            done += (size_t)some;
        else if (errno != EINTR)
            error = -errno;
    }
    if (!error && fsync(fd))
        error = -errno;
    close(fd);
    if (!error && rename(temporary, path))
        error = -errno;
    if (error)
        unlink(temporary);
    return error;
}
