// One TLS connection; the contract is in tls.h. OpenSSL reads from `in` and writes to `out` through a BIO of our own:
// the socket reads and writes the same memory, plain bytes go straight to and from the protocol's buffers.
#include "tls_internal.h"

#include <errno.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// A record has 16 KB and some bytes around them. What is encrypted at once is at most what a connection holds
// as replies, which has its own limit.
enum { RECORD_ROOM = 17 * 1024, OUT_LIMIT = 1 << 30 };

struct tls {
    SSL *ssl;
    struct frame_buffer in, out;  // encrypted
    int failed;                   // nothing more may be asked of ssl
    int ended;                    // the peer sends no more
    int has_input;                // bytes came that have not been read yet
    char why[160];
    char *names[TLS_NAMES_LIMIT];
    size_t name_count;
};

static int bio_read(BIO *bio, char *to, size_t size, size_t *taken)
{
    struct tls *tls = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    size_t held = frame_buffer_size(&tls->in);
    *taken = held < size ? held : size;
    if (*taken == 0) {
        BIO_set_retry_read(bio);
        return 0;
    }
    memcpy(to, frame_buffer_data(&tls->in), *taken);
    frame_buffer_consume(&tls->in, *taken);
    return 1;
}

static int bio_write(BIO *bio, const char *from, size_t size, size_t *taken)
{
    struct tls *tls = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    uint8_t *to = frame_buffer_reserve(&tls->out, size);
    *taken = 0;
    if (!to)
        return 0;
    memcpy(to, from, size);
    frame_buffer_append(&tls->out, size);
    *taken = size;
    return 1;
}

static long bio_control(BIO *bio, int command, long number, void *pointer)
{
    (void)bio, (void)number, (void)pointer;
    return command == BIO_CTRL_FLUSH;
}

static BIO_METHOD *method;

static void make_method(void)
{
    method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "beliefd");
    if (method) {
        BIO_meth_set_read_ex(method, bio_read);
        BIO_meth_set_write_ex(method, bio_write);
        BIO_meth_set_ctrl(method, bio_control);
    }
}

struct tls *tls_new(struct tls_server *server)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, make_method);
    struct tls *tls = calloc(1, sizeof *tls);
    BIO *bio = method ? BIO_new(method) : NULL;
    if (!tls || !bio || !(tls->ssl = tls_server_ssl(server)) ||
        frame_buffer_init(&tls->in, RECORD_ROOM, RECORD_ROOM) || frame_buffer_init(&tls->out, RECORD_ROOM, OUT_LIMIT)) {
        BIO_free(bio);
        tls_free(tls);
        return NULL;
    }
    BIO_set_data(bio, tls);
    BIO_set_init(bio, 1);
    SSL_set_bio(tls->ssl, bio, bio);
    SSL_set_accept_state(tls->ssl);
    return tls;
}

void tls_free(struct tls *tls)
{
    if (!tls)
        return;
    for (size_t i = 0; i < tls->name_count; i++)
        OPENSSL_free(tls->names[i]);
    SSL_free(tls->ssl);
    frame_buffer_release(&tls->in);
    frame_buffer_release(&tls->out);
    free(tls);
}

uint8_t *tls_input(struct tls *tls, size_t *room)
{
    uint8_t *memory = frame_buffer_reserve(&tls->in, 1);
    *room = memory ? tls->in.capacity - tls->in.end : 0;
    return memory;
}

void tls_received(struct tls *tls, size_t size)
{
    frame_buffer_append(&tls->in, size);
    tls->has_input = 1;
}

int tls_has_input(const struct tls *tls)
{
    return tls->has_input;
}

static void add_name(struct tls *tls, const ASN1_STRING *text)
{
    unsigned char *name;
    int size = ASN1_STRING_to_UTF8(&name, text);
    if (size < 0)
        return;
    // A name with a zero inside would be read as a shorter one.
    if (size == 0 || memchr(name, '\0', (size_t)size) || tls->name_count == TLS_NAMES_LIMIT)
        OPENSSL_free(name);
    else
        tls->names[tls->name_count++] = (char *)name;
}

static void read_names(struct tls *tls)
{
    const X509 *certificate = SSL_get0_peer_certificate(tls->ssl);
    if (!certificate)
        return;
    GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        if (name->type == GEN_DNS || name->type == GEN_URI)
            add_name(tls, name->d.ia5);
    }
    GENERAL_NAMES_free(names);
    const X509_NAME *subject = X509_get_subject_name(certificate);
    int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
    if (tls->name_count == 0 && at >= 0)
        add_name(tls, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
}

// Keeps the reason for the log. OpenSSL has put its alert for the peer into `out`.
static long fail(struct tls *tls)
{
    const char *reason = ERR_reason_error_string(ERR_peek_error());
    long verified = SSL_get_verify_result(tls->ssl);
    const char *more = verified == X509_V_OK ? "" : X509_verify_cert_error_string(verified);
    snprintf(tls->why, sizeof tls->why, "%s%s%s", reason ? reason : "broken off", *more ? ": " : "", more);
    ERR_clear_error();
    tls->failed = 1;
    return -EPROTO;
}

long tls_read(struct tls *tls, uint8_t *out, size_t size)
{
    if (tls->failed)
        return -EPROTO;
    if (tls->ended)
        return -EPIPE;
    ERR_clear_error();
    int was_open = tls_is_open(tls);
    size_t taken = 0;
    int good = SSL_read_ex(tls->ssl, out, size, &taken);
    int error = good ? SSL_ERROR_NONE : SSL_get_error(tls->ssl, good);
    tls->has_input = good;
    if (!was_open && tls_is_open(tls))
        read_names(tls);
    switch (error) {
    case SSL_ERROR_NONE:
        return (long)taken;
    case SSL_ERROR_WANT_READ:
        return 0;
    case SSL_ERROR_ZERO_RETURN:
        tls->ended = 1;
        return -EPIPE;
    default:
        return fail(tls);
    }
}

int tls_write(struct tls *tls, const uint8_t *bytes, size_t size)
{
    if (tls->failed)
        return -EPROTO;
    if (!tls_is_open(tls))
        return -EAGAIN;
    ERR_clear_error();
    for (size_t done = 0, taken = 0; done < size; done += taken)
        if (!SSL_write_ex(tls->ssl, bytes + done, size - done, &taken))
            return (int)fail(tls);
    return 0;
}

void tls_end(struct tls *tls)
{
    if (tls->failed || !tls_is_open(tls))
        return;
    ERR_clear_error();
    SSL_shutdown(tls->ssl);
    ERR_clear_error();
}

struct frame_buffer *tls_output(struct tls *tls)
{
    return &tls->out;
}

int tls_take_output(struct tls *tls, struct frame_buffer *held)
{
    struct frame_buffer fresh;
    if (frame_buffer_init(&fresh, RECORD_ROOM, OUT_LIMIT))
        return -ENOMEM;
    *held = tls->out;
    tls->out = fresh;
    return 0;
}

int tls_is_open(const struct tls *tls)
{
    return SSL_is_init_finished(tls->ssl);
}

const char *tls_why(const struct tls *tls)
{
    return tls->why;
}

const char *tls_version(const struct tls *tls)
{
    return SSL_get_version(tls->ssl);
}

size_t tls_peer_names(const struct tls *tls, const char *const **names)
{
    *names = (const char *const *)tls->names;
    return tls->name_count;
}
