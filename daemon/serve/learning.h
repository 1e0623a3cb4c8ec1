#pragma once
// What learners, and those who explore for them, ask: GetModel and Experience, which may wait until there is something
// to tell. (PublishModel is in request_model.c.) For the files of this folder.

#include "request.h"

void request_take_get_model(const struct request *r);
void request_take_experience(const struct request *r);

// Is the one who asks the only learner of that model, and has a name? 0: the refusal was sent.
int request_may_teach(const struct request *r, const char *model, const char *learner);

// The models have changed, or time has passed: GetModels that waited for that are answered.
void models_awaited(struct server *server, uint64_t now_us);
// Something was explored, or time has passed: pages that waited for that are told.
void feeds_turn(struct server *server, uint64_t now_us);
void feed_drop(struct server *server, const struct connection *connection);  // it ends

// The server ends; before its connections do.
void awaited_release(struct server *server);
void feeds_release(struct server *server);
