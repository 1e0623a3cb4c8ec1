#pragma once
// A question to the experience log. It is part of something larger, which stays where it is until the answer came.

#include "daemon/store/store.h"

struct server;

struct question {
    // The answer is the caller's and freed afterwards. NULL: the server ends, none will come.
    void (*answered)(struct question *question, struct server *server, const struct store_answer *answer,
                     uint64_t now_us);
};

static inline uint64_t question_cookie(const struct question *question)
{
    return (uint64_t)(uintptr_t)question;
}
