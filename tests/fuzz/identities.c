// Files of identities with anything in them: accepted, or refused with a sentence that begins with file and line. In one
// that was accepted everybody is found by what the file says, and the same bytes as a token are nobody's.

#include "daemon/serve/identity.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static void check(const struct identity *identity)
{
    if (identity && (strlen(identity->name) < 1 || strlen(identity->name) > IDENTITY_NAME_LIMIT ||
                     identity->role < WIRE_ROLE_ROBOT || identity->role > WIRE_ROLE_ADMIN))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct identities *identities;
    char why[512] = "", token[256];
    if (identities_parse(&identities, "f", (const char *)bytes, size, why, sizeof why)) {
        if (strncmp(why, "f:", 2) || strchr("123456789", why[2]) == NULL)
            abort();
        return 0;
    }
    size_t length = size < sizeof token - 1 ? size : sizeof token - 1;
    memcpy(token, bytes, length);
    token[length] = '\0';
    const char *const names[] = {token, "a", "leg.plant"};
    for (uint32_t uid = 0; uid < 3; uid++)
        check(identities_by_uid(identities, uid));
    check(identities_by_certificate(identities, names, 3));
    check(identities_by_token(identities, "test"));
    if (identities_by_token(identities, token) && strcmp(token, "test"))
        abort();
    identities_unref(identities);
    return 0;
}
