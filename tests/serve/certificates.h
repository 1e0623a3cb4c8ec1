#pragma once
// Certificates made for a test: an authority and what it signs, as PEM files in a directory.

#include <openssl/evp.h>
#include <openssl/x509.h>

struct certificate {
    EVP_PKEY *key;
    X509 *x509;
};

enum { DAY = 86400 };

// Signed by `authority` (NULL: by itself, and an authority). alternative: "DNS:a,URI:b", or NULL. Valid from `begin` to
// `end` seconds from now.
struct certificate certificate_make(const struct certificate *authority, const char *common_name,
                                    const char *alternative, long begin, long end);
void certificate_free(struct certificate *certificate);

// PEM files; mode 0600.
void certificate_write(const struct certificate *certificate, const char *path);
void certificate_write_key(const struct certificate *certificate, const char *path);
