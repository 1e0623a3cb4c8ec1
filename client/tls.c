// TLS by OpenSSL; the contract is in tls.h.
#include "tls.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

struct link_tls {
    SSL *ssl;
    SSL_CTX *context;
    BIO_METHOD *method;
    int fd;
    short events;
};

static const char *reason(void)
{
    unsigned long error = ERR_peek_last_error();
    const char *text = error ? ERR_reason_error_string(error) : NULL;
    return text ? text : "no reason given";
}

// ---- The socket -----------------------------------------------------------------------------------------

// OpenSSL's own socket BIO writes without MSG_NOSIGNAL; a program that links a library wants no SIGPIPE of it.
static int socket_of(BIO *bio)
{
    return *(int *)BIO_get_data(bio);
}

static int socket_write(BIO *bio, const char *bytes, int size)
{
    BIO_clear_retry_flags(bio);
    ssize_t sent = send(socket_of(bio), bytes, (size_t)size, MSG_NOSIGNAL);
    if (sent < 0 && (errno == EAGAIN || errno == EINTR))
        BIO_set_retry_write(bio);
    return (int)sent;
}

static int socket_read(BIO *bio, char *bytes, int size)
{
    BIO_clear_retry_flags(bio);
    ssize_t got = recv(socket_of(bio), bytes, (size_t)size, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        BIO_set_retry_read(bio);
    return (int)got;
}

static long socket_control(BIO *bio, int command, long number, void *pointer)
{
    (void)bio, (void)number, (void)pointer;
    return command == BIO_CTRL_FLUSH;
}

static int use_socket(struct link_tls *tls)
{
    tls->method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "socket");
    BIO *bio = tls->method && BIO_meth_set_write(tls->method, socket_write) &&
               BIO_meth_set_read(tls->method, socket_read) && BIO_meth_set_ctrl(tls->method, socket_control) ?
               BIO_new(tls->method) : NULL;
    if (!bio)
        return 0;
    BIO_set_data(bio, &tls->fd);
    BIO_set_init(bio, 1);
    SSL_set_bio(tls->ssl, bio, bio);  // takes it
    return 1;
}

// ---- Beginning ------------------------------------------------------------------------------------------

static int use_files(SSL_CTX *context, const struct tls_options *options, char *why, size_t why_size)
{
    if (!options->certificate != !options->key) {
        snprintf(why, why_size, "a certificate needs its key and a key its certificate (certificate, key)");
        return -EINVAL;
    }
    const char *file = options->ca_file, *field = "ca_file";
    int good = file ? SSL_CTX_load_verify_file(context, file) : SSL_CTX_set_default_verify_paths(context);
    if (good && options->certificate) {
        file = options->certificate, field = "certificate";
        good = SSL_CTX_use_certificate_chain_file(context, file);
    }
    if (good && options->key) {
        file = options->key, field = "key";
        good = SSL_CTX_use_PrivateKey_file(context, file, SSL_FILETYPE_PEM) && SSL_CTX_check_private_key(context);
    }
    if (good)
        return 0;
    snprintf(why, why_size, "%s cannot be used: %s (%s)", file ? file : "the system's list of authorities", reason(),
             field);
    return -EINVAL;
}

// The name that the certificate must have: an address in numbers, or a host's name.
static int expect(SSL *ssl, const char *name)
{
    unsigned char number[sizeof(struct in6_addr)];
    if (inet_pton(AF_INET, name, number) == 1 || inet_pton(AF_INET6, name, number) == 1)
        return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name);
    SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return SSL_set1_host(ssl, name) && SSL_set_tlsext_host_name(ssl, name);
}

int link_tls_begin(struct link_tls **out, int fd, const char *host, const struct tls_options *options, char *why,
              size_t why_size)
{
    struct link_tls *tls = calloc(1, sizeof *tls);
    int result = -ENOMEM;
    snprintf(why, why_size, "no memory for TLS");
    ERR_clear_error();
    if (!tls || !(tls->context = SSL_CTX_new(TLS_client_method())))
        goto fail;
    SSL_CTX_set_min_proto_version(tls->context, TLS1_2_VERSION);
    SSL_CTX_set_verify(tls->context, SSL_VERIFY_PEER, NULL);
    result = use_files(tls->context, options, why, why_size);
    if (result)
        goto fail;
    result = -ENOMEM;
    tls->fd = fd;
    tls->ssl = SSL_new(tls->context);
    if (!tls->ssl || !use_socket(tls) || !expect(tls->ssl, options->server_name ? options->server_name : host))
        goto fail;
    SSL_set_mode(tls->ssl, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_set_connect_state(tls->ssl);
    *out = tls;
    return 0;

fail:
    link_tls_end(tls);
    return result;
}

void link_tls_end(struct link_tls *tls)
{
    if (!tls)
        return;
    if (tls->ssl && SSL_is_init_finished(tls->ssl))
        SSL_shutdown(tls->ssl);
    SSL_free(tls->ssl);
    SSL_CTX_free(tls->context);
    BIO_meth_free(tls->method);
    free(tls);
    ERR_clear_error();
}

// ---- Moving bytes ---------------------------------------------------------------------------------------

// An alert about our certificate, or about having none.
static int is_refusal(unsigned long error)
{
    if (ERR_GET_LIB(error) != ERR_LIB_SSL)
        return 0;
    switch (ERR_GET_REASON(error)) {
    case SSL_R_SSLV3_ALERT_BAD_CERTIFICATE: case SSL_R_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_REVOKED: case SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN: case SSL_R_TLSV1_ALERT_UNKNOWN_CA:
    case SSL_R_TLSV1_ALERT_ACCESS_DENIED: case SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED:
        return 1;
    default:
        return 0;
    }
}

// What an operation's return means; errno is still its own.
static int meaning(struct link_tls *tls, int returned)
{
    int system = errno;
    switch (SSL_get_error(tls->ssl, returned)) {
    case SSL_ERROR_WANT_READ: tls->events = POLLIN; return -EAGAIN;
    case SSL_ERROR_WANT_WRITE: tls->events = POLLOUT; return -EAGAIN;
    case SSL_ERROR_ZERO_RETURN: return 0;
    case SSL_ERROR_SYSCALL: return system ? -system : -ECONNRESET;
    default:
        // The end without goodbye is what a killed process leaves.
        if (ERR_GET_REASON(ERR_peek_last_error()) == SSL_R_UNEXPECTED_EOF_WHILE_READING)
            return -ECONNRESET;
        return is_refusal(ERR_peek_last_error()) ? -EACCES : -EPROTO;
    }
}

int link_tls_shake_hands(struct link_tls *tls, char *why, size_t why_size)
{
    ERR_clear_error();
    errno = 0;
    int returned = SSL_do_handshake(tls->ssl), result = returned == 1 ? 0 : meaning(tls, returned);
    if (returned == 1 || result == -EAGAIN)
        return result;
    long verified = SSL_get_verify_result(tls->ssl);
    if (verified != X509_V_OK) {
        snprintf(why, why_size, "its certificate is not accepted: %s", X509_verify_cert_error_string(verified));
        return -EACCES;
    }
    snprintf(why, why_size, "%s", result == -EACCES || result == -EPROTO ? reason() : strerror(-result));
    return result ? result : -ECONNRESET;
}

ssize_t link_tls_read(struct link_tls *tls, void *bytes, size_t size)
{
    size_t moved = 0;
    ERR_clear_error();
    errno = 0;
    int returned = SSL_read_ex(tls->ssl, bytes, size, &moved);
    return returned == 1 ? (ssize_t)moved : meaning(tls, returned);
}

ssize_t link_tls_write(struct link_tls *tls, const void *bytes, size_t size)
{
    size_t moved = 0;
    ERR_clear_error();
    errno = 0;
    int returned = SSL_write_ex(tls->ssl, bytes, size, &moved);
    ssize_t result = returned == 1 ? (ssize_t)moved : meaning(tls, returned);
    return result ? result : -ECONNRESET;
}

short link_tls_events(const struct link_tls *tls)
{
    return tls->events;
}
