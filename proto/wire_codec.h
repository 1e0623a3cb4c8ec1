#pragma once
// How one kind of message goes between its generated struct and its plain one. For the files of this folder:
// wire_requests.c, wire_replies.c, wire_control.c and wire_learning.c hold the codecs of their kinds, wire_parts.c what several
// messages have; wire.c finds and uses them.

#include "wire_arena.h"

#include "belief.pb-c.h"

struct wire_codec {
    const ProtobufCMessageDescriptor *descriptor;  // of the generated struct; NULL: no such kind
    // Points *out at what a parsed message holds; only lists of messages are rewritten, in the arena. NULL: the
    // message has no fields. -ENOMEM.
    int (*read)(struct wire_envelope *out, const void *message, struct wire_arena *arena);
    // Points a fresh generated struct at what *in holds; lists of messages are rewritten in the arena. -ENOMEM.
    // A single part has its place in union wire_generated.
    int (*fill)(void *message, const struct wire_envelope *in, struct wire_arena *arena);
};

// By kind, from the first of each list.
extern const struct wire_codec wire_request_codecs[WIRE_PUBLISH_MODEL - WIRE_HELLO + 1];
extern const struct wire_codec wire_control_codecs[WIRE_GET_METRICS - WIRE_LIST_SESSIONS + 1];
extern const struct wire_codec wire_reply_codecs[WIRE_SESSION_STATE - WIRE_ERROR + 1];
extern const struct wire_codec wire_list_codecs[WIRE_EXPERIENCED - WIRE_SESSION_LIST + 1];

// Messages with a part that is always single keep it beside them.
struct wire_opened_parts {
    Belief__V1__Opened opened;
    Belief__V1__ModelInfo model;
};
struct wire_restore_parts {
    Belief__V1__Restore restore;
    Belief__V1__SessionState state;
};

// Room for the generated struct of any kind, on the stack of an encoding.
union wire_generated {
    ProtobufCMessage message;
    Belief__V1__Hello hello;
    Belief__V1__Open open;
    Belief__V1__Step step;
    Belief__V1__Observe observe;
    Belief__V1__Act act;
    Belief__V1__Reset reset;
    Belief__V1__GetBelief get_belief;
    Belief__V1__Close close;
    Belief__V1__Ping ping;
    Belief__V1__Save save;
    struct wire_restore_parts restore;
    Belief__V1__ListSessions list_sessions;
    Belief__V1__ListModels list_models;
    Belief__V1__LoadModel load_model;
    Belief__V1__UnloadModel unload_model;
    Belief__V1__AliasModel alias_model;
    Belief__V1__Reload reload;
    Belief__V1__Rebuild rebuild;
    Belief__V1__Snapshot snapshot;
    Belief__V1__HandOver hand_over;
    Belief__V1__Drain drain;
    Belief__V1__GetMetrics get_metrics;
    Belief__V1__Error error;
    Belief__V1__Welcome welcome;
    struct wire_opened_parts opened;
    Belief__V1__Action action;
    Belief__V1__Observed observed;
    Belief__V1__Done done;
    Belief__V1__BeliefState belief;
    Belief__V1__SessionState session_state;
    Belief__V1__SessionList session_list;
    Belief__V1__ModelList model_list;
    Belief__V1__Metrics metrics;
    Belief__V1__GetModel get_model;
    Belief__V1__Experience experience;
    Belief__V1__Experienced experienced;
    Belief__V1__PublishModel publish_model;
};

// Parts; a list that is NULL, or not 0: -ENOMEM.
struct wire_model wire_read_model(const Belief__V1__ModelInfo *m);
void wire_fill_model(Belief__V1__ModelInfo *m, const struct wire_model *model);
struct wire_model *wire_read_models(Belief__V1__ModelInfo *const *models, size_t count, struct wire_arena *arena);
int wire_fill_models(Belief__V1__ModelInfo ***models, const struct wire_model *in, size_t count,
                     struct wire_arena *arena);
struct wire_transition *wire_read_transitions(Belief__V1__Transition *const *transitions, size_t count,
                                              struct wire_arena *arena);
int wire_fill_transitions(Belief__V1__Transition ***transitions, const struct wire_transition *in, size_t count,
                          struct wire_arena *arena);
int wire_read_state(struct wire_session_state *out, const Belief__V1__SessionState *m, struct wire_arena *arena);
int wire_fill_state(Belief__V1__SessionState *m, const struct wire_session_state *in, struct wire_arena *arena);

// wire_learning.c
int wire_read_get_model(struct wire_envelope *out, const void *message, struct wire_arena *arena);
int wire_fill_get_model(void *message, const struct wire_envelope *in, struct wire_arena *arena);
int wire_read_experience(struct wire_envelope *out, const void *message, struct wire_arena *arena);
int wire_fill_experience(void *message, const struct wire_envelope *in, struct wire_arena *arena);
int wire_read_publish_model(struct wire_envelope *out, const void *message, struct wire_arena *arena);
int wire_fill_publish_model(void *message, const struct wire_envelope *in, struct wire_arena *arena);
int wire_read_experienced(struct wire_envelope *out, const void *message, struct wire_arena *arena);
int wire_fill_experienced(void *message, const struct wire_envelope *in, struct wire_arena *arena);

static inline struct wire_floats wire_floats_of(const float *values, size_t count)
{
    return (struct wire_floats){values, count};
}

static inline struct wire_doubles wire_doubles_of(const double *values, size_t count)
{
    return (struct wire_doubles){values, count};
}

static inline struct wire_bytes wire_bytes_of(ProtobufCBinaryData data)
{
    return (struct wire_bytes){data.data, data.len};
}

static inline ProtobufCBinaryData wire_data_of(struct wire_bytes bytes)
{
    return (ProtobufCBinaryData){bytes.size, (uint8_t *)bytes.bytes};
}

static inline char *wire_text(const char *string)
{
    return string ? (char *)string : (char *)protobuf_c_empty_string;
}

// The pair (n_field, field) of a parsed struct, and of one to be filled.
#define GET_FLOATS(message, field) wire_floats_of((message)->field, (message)->n_##field)
#define GET_DOUBLES(message, field) wire_doubles_of((message)->field, (message)->n_##field)
#define SET_LIST(message, field, list) \
    ((message)->n_##field = (list).count, (message)->field = (void *)(list).values)

// An arena array of `count` things; NULL: too small.
static inline void *wire_take_array(struct wire_arena *arena, size_t count, size_t size)
{
    return count > arena->size / size ? NULL : wire_arena_take(arena, count * size);
}

// An arena array of `count` generated structs, and one of pointers to them, as protobuf-c wants it. NULL: too small.
static inline void *wire_take_parts(struct wire_arena *arena, size_t count, size_t size, void *pointers_out)
{
    uint8_t *structs = wire_take_array(arena, count, size);
    void **pointers = wire_take_array(arena, count, sizeof *pointers);
    if (!structs || !pointers)
        return NULL;
    for (size_t i = 0; i < count; i++)
        pointers[i] = structs + i * size;
    *(void **)pointers_out = pointers;
    return structs;
}
