// The certificate that the daemon shows and how it is read; the contract is in tls.h.
#include "tls_internal.h"

#include "daemon/policy/refuse.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { RESUME_SECONDS = 3600 };

struct tls_server {
    struct tls_options options;
    pthread_mutex_t lock;  // of context
    SSL_CTX *context;      // for new connections; old ones keep theirs
};

// What OpenSSL complains about first, without its numbers.
static int refuse_openssl(const char *key, const char *path, char *why, size_t why_size)
{
    unsigned long error = ERR_peek_error();
    const char *reason = ERR_reason_error_string(error);
    int result = refuse(why, why_size, -EINVAL, "%s: %s: %s", key, path,
                        ERR_SYSTEM_ERROR(error) ? strerror(ERR_GET_REASON(error)) : reason ? reason : "no PEM");
    ERR_clear_error();
    return result;
}

// Who has the key is the daemon.
static int check_key_file(const char *path, char *why, size_t why_size)
{
    struct stat file;
    if (stat(path, &file))
        return refuse(why, why_size, -EINVAL, "tls_key: %s: %s", path, strerror(errno));
    if (file.st_mode & (S_IRWXO | S_IWGRP | S_IXGRP))
        return refuse(why, why_size, -EPERM,
                      "tls_key: %s: mode %04o lets others at it; 0600 is right, or 0640 with a group of its own",
                      path, (unsigned)file.st_mode & 07777);
    return 0;
}

// A key with a password would ask at a terminal that nobody sits at.
static int no_password(char *out, int size, int writing, void *context)
{
    (void)out, (void)size, (void)writing, (void)context;
    return 0;
}

// gRPC asks for h2; our own clients for belief or for nothing. The first bytes decide in the end.
static int choose_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_size, const unsigned char *in,
                           unsigned in_size, void *context)
{
    (void)ssl, (void)context;
    static const unsigned char ours[] = "\x02h2\x06" "belief";
    unsigned char *chosen;
    if (SSL_select_next_proto(&chosen, out_size, ours, sizeof ours - 1, in, in_size) != OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

static void set_manners(SSL_CTX *context, const struct tls_options *options)
{
    SSL_CTX_set_min_proto_version(context, options->min_version == 13 ? TLS1_3_VERSION : TLS1_2_VERSION);
    SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE);
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                  SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_cipher_list(context, "ECDHE+AESGCM:ECDHE+CHACHA20");  // of TLS 1.2
    SSL_CTX_set_alpn_select_cb(context, choose_protocol, NULL);
    SSL_CTX_set_default_passwd_cb(context, no_password);
    // Who was here within the hour need not show everything again. The tickets' keys are this context's, so a reload
    // makes them worthless.
    SSL_CTX_set_timeout(context, RESUME_SECONDS);
    SSL_CTX_set_session_id_context(context, (const unsigned char *)"beliefd", 7);
}

static int read_files(SSL_CTX *context, const struct tls_options *options, char *why, size_t why_size)
{
    int error = check_key_file(options->key, why, why_size);
    if (error)
        return error;
    if (SSL_CTX_use_certificate_chain_file(context, options->certificate) != 1)
        return refuse_openssl("tls_certificate", options->certificate, why, why_size);
    if (SSL_CTX_use_PrivateKey_file(context, options->key, SSL_FILETYPE_PEM) != 1 ||
        SSL_CTX_check_private_key(context) != 1)
        return refuse_openssl("tls_key", options->key, why, why_size);
    if (!options->client_ca)
        return 0;
    STACK_OF(X509_NAME) *names = SSL_load_client_CA_file(options->client_ca);
    if (!names || SSL_CTX_load_verify_locations(context, options->client_ca, NULL) != 1) {
        sk_X509_NAME_pop_free(names, X509_NAME_free);
        return refuse_openssl("tls_client_ca", options->client_ca, why, why_size);
    }
    SSL_CTX_set_client_CA_list(context, names);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    return 0;
}

static int make_context(SSL_CTX **out, const struct tls_options *options, char *why, size_t why_size)
{
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    if (!context)
        return refuse(why, why_size, -ENOMEM, "TLS: no memory");
    ERR_clear_error();
    set_manners(context, options);
    int error = read_files(context, options, why, why_size);
    if (error)
        SSL_CTX_free(context);
    else
        *out = context;
    return error;
}

int tls_server_new(struct tls_server **out, const struct tls_options *options, char *why, size_t why_size)
{
    struct tls_server *server = calloc(1, sizeof *server);
    if (!server)
        return refuse(why, why_size, -ENOMEM, "TLS: no memory");
    server->options = *options;
    int error = make_context(&server->context, options, why, why_size);
    if (error) {
        free(server);
        return error;
    }
    pthread_mutex_init(&server->lock, NULL);
    *out = server;
    return 0;
}

void tls_server_free(struct tls_server *server)
{
    if (!server)
        return;
    SSL_CTX_free(server->context);
    pthread_mutex_destroy(&server->lock);
    free(server);
}

int tls_server_reload(struct tls_server *server, char *why, size_t why_size)
{
    SSL_CTX *context;
    int error = make_context(&context, &server->options, why, why_size);
    if (error)
        return error;
    pthread_mutex_lock(&server->lock);
    SSL_CTX *before = server->context;
    server->context = context;
    pthread_mutex_unlock(&server->lock);
    SSL_CTX_free(before);  // connections that began with it keep it
    return 0;
}

SSL *tls_server_ssl(struct tls_server *server)
{
    pthread_mutex_lock(&server->lock);
    SSL *ssl = SSL_new(server->context);
    pthread_mutex_unlock(&server->lock);
    return ssl;
}

time_t tls_server_expiry(struct tls_server *server)
{
    struct tm utc;
    pthread_mutex_lock(&server->lock);
    const X509 *certificate = SSL_CTX_get0_certificate(server->context);
    int known = certificate && ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &utc) == 1;
    pthread_mutex_unlock(&server->lock);
    return known ? timegm(&utc) : 0;
}
