#pragma once
// What tls.c and tls_server.c share.

#include "tls.h"

#include <openssl/ssl.h>

// A new connection with the certificate of now; NULL: no memory.
SSL *tls_server_ssl(struct tls_server *server);
