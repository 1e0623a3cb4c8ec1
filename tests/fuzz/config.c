// Config files with anything in them: accepted, or refused with a sentence that begins with file and line.

#include "daemon/serve/config.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct config config;
    char why[512] = "";
    config_init(&config);
    if (config_parse(&config, "f", (const char *)bytes, size, why, sizeof why)) {
        if (strncmp(why, "f:", 2) || strchr("123456789", why[2]) == NULL)
            abort();
    } else if (config.listen_count > CONFIG_LISTEN_LIMIT || config.model_count > MODELS_LIMIT ||
               config.limits.connections == 0 || config.limits.frame_bytes < 4096 || config.socket_mode > 0777) {
        abort();
    }
    config_release(&config);
    return 0;
}
