// Certificates for tests; the contract is in certificates.h.
#include "certificates.h"

#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <sys/stat.h>

#include "tests/support/suite.h"

static void add_extension(X509 *x509, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX context;
    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, issuer, x509, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    ck_assert_ptr_nonnull(extension);
    ck_assert_int_eq(X509_add_ext(x509, extension, -1), 1);
    X509_EXTENSION_free(extension);
}

struct certificate certificate_make(const struct certificate *authority, const char *common_name,
                                    const char *alternative, long begin, long end)
{
    static long serial;
    struct certificate made = {EVP_EC_gen("P-256"), X509_new()};
    ck_assert(made.key && made.x509);
    X509 *issuer = authority ? authority->x509 : made.x509;
    X509_set_version(made.x509, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(made.x509), ++serial);
    X509_gmtime_adj(X509_getm_notBefore(made.x509), begin);
    X509_gmtime_adj(X509_getm_notAfter(made.x509), end);
    X509_set_pubkey(made.x509, made.key);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(made.x509), "CN", MBSTRING_UTF8,
                               (const unsigned char *)common_name, -1, -1, 0);
    X509_set_issuer_name(made.x509, X509_get_subject_name(issuer));
    if (!authority)
        add_extension(made.x509, issuer, NID_basic_constraints, "critical,CA:TRUE");
    if (alternative)
        add_extension(made.x509, issuer, NID_subject_alt_name, alternative);
    ck_assert_int_gt(X509_sign(made.x509, authority ? authority->key : made.key, EVP_sha256()), 0);
    return made;
}

void certificate_free(struct certificate *certificate)
{
    EVP_PKEY_free(certificate->key);
    X509_free(certificate->x509);
    *certificate = (struct certificate){0};
}

static FILE *create(const char *path)
{
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    ck_assert_int_eq(fchmod(fileno(file), 0600), 0);
    return file;
}

void certificate_write(const struct certificate *certificate, const char *path)
{
    FILE *file = create(path);
    ck_assert_int_eq(PEM_write_X509(file, certificate->x509), 1);
    fclose(file);
}

void certificate_write_key(const struct certificate *certificate, const char *path)
{
    FILE *file = create(path);
    ck_assert_int_eq(PEM_write_PrivateKey(file, certificate->key, NULL, NULL, 0, NULL, NULL), 1);
    fclose(file);
}
