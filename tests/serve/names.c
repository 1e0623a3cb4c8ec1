// Who may have which session, by what name: epochs, identities, roles, rates, deadlines.
#include "fixture.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/serve/permission.h"
#include "daemon/serve/requests.h"
#include "tests/support/suite.h"

static struct caller connect_as(const char *name, enum wire_role role, int is_control)
{
    struct peer who = {.text = name, .identity = {.role = role}, .is_control = is_control};
    strcpy(who.identity.name, name);
    return peer_connect_as(server, &who);
}

static struct wire_envelope by_name(struct wire_envelope step, const char *session, uint64_t epoch)
{
    if (step.kind == WIRE_STEP) {
        step.step.handle = 0;
        step.step.session = session;
        step.step.epoch = epoch;
    } else {
        step.act.handle = 0;
        step.act.session = session;
        step.act.epoch = epoch;
    }
    return step;
}

START_TEST(a_session_is_named_on_any_connection)
{
    struct wire_opened opened = peer_open(&peer, "robot", "");
    struct caller second = peer_connect(server), third = peer_connect(server);
    ck_assert_int_eq(peer_ask(&second, by_name(robot_act(&robot, 0, 1), "robot", opened.epoch)).kind, WIRE_ACTION);
    for (uint64_t seq = 2; seq < 10; seq++) {
        struct caller *caller = seq % 3 == 0 ? &second : seq % 3 == 1 ? &third : &peer;
        struct wire_envelope step = robot_step(&robot, opened.handle, seq);
        if (caller != &peer)
            step = by_name(step, "robot", opened.epoch);
        struct wire_envelope reply = peer_ask(caller, step);
        ck_assert_int_eq(reply.kind, WIRE_ACTION);
        ck_assert_int_eq(reply.action.status, WIRE_STATUS_ABSORBED);
    }
    expect_observed(&robot, 2, 9);
    struct wire_envelope look = get_belief(0);
    look.get_belief.session = "robot";
    check_digest(peer_ask(&second, look).belief.digest);  // who only looks needs no epoch
    // Close by name ends the handle.
    struct wire_envelope close = closing(0, 0);
    close.close.session = "robot";
    close.close.epoch = opened.epoch;
    ck_assert_int_eq(peer_ask(&third, close).kind, WIRE_DONE);
    peer_refused(&peer, get_belief(opened.handle), WIRE_UNKNOWN_SESSION, "handle");
    peer_free(&second);
    peer_free(&third);
}
END_TEST

START_TEST(an_older_epoch_is_fenced)
{
    struct caller second = peer_connect(server);
    uint64_t first_epoch = peer_open(&peer, "robot", "").epoch;
    uint64_t epoch = peer_open(&second, "robot", "").epoch;
    ck_assert_uint_eq(epoch, first_epoch + 1);
    peer_refused(&peer, by_name(robot_act(&robot, 0, 1), "robot", first_epoch), WIRE_FENCED, "epoch");
    peer_refused(&peer, by_name(robot_act(&robot, 0, 1), "robot", epoch + 1), WIRE_FENCED, "epoch");
    peer_refused(&peer, by_name(robot_act(&robot, 0, 1), "robot", 0), WIRE_INVALID, "epoch");
    peer_refused(&peer, by_name(robot_act(&robot, 0, 1), "nobody", 1), WIRE_UNKNOWN_SESSION, "session");
    peer_refused(&peer, by_name(robot_act(&robot, 0, 1), "no/body", 1), WIRE_INVALID, "session");
    peer_refused(&peer, robot_act(&robot, 0, 1), WIRE_UNKNOWN_SESSION, "handle");
    ck_assert_int_eq(peer_ask(&peer, by_name(robot_act(&robot, 0, 1), "robot", epoch)).kind, WIRE_ACTION);

    // Who continues says which epoch it had.
    struct wire_envelope again = opening("robot", "", 0);
    again.open.epoch = first_epoch;
    peer_refused(&peer, again, WIRE_FENCED, "epoch");
    again.open.epoch = epoch;
    ck_assert_uint_eq(peer_ask(&peer, again).opened.epoch, epoch + 1);
    again.open.epoch = epoch + 100;  // from a log that could not be written then
    ck_assert_uint_eq(peer_ask(&peer, again).opened.epoch, epoch + 101);
    again.open.epoch = UINT64_MAX;
    peer_refused(&peer, again, WIRE_INVALID, "epoch");
    again = opening("gone", "", 0);
    again.open.epoch = 3;
    peer_refused(&peer, again, WIRE_UNKNOWN_SESSION, "session");
    peer_free(&second);
}
END_TEST

START_TEST(a_session_is_its_owners)
{
    struct caller anna = connect_as("anna", WIRE_ROLE_ROBOT, 0), bert = connect_as("bert", WIRE_ROLE_ROBOT, 0);
    struct caller learner = connect_as("lisa", WIRE_ROLE_LEARNER, 0);
    struct caller observer = connect_as("otto", WIRE_ROLE_OBSERVER, 0);
    struct caller admin = connect_as("root", WIRE_ROLE_ADMIN, 1);
    struct wire_opened opened = peer_open(&anna, "arm", "");
    struct caller *others[] = {&bert, &learner, &peer};
    for (int i = 0; i < 3; i++) {
        peer_refused(others[i], opening("arm", "", 0), WIRE_PERMISSION, "session");
        peer_refused(others[i], by_name(robot_act(&robot, 0, 1), "arm", opened.epoch), WIRE_PERMISSION, "session");
        struct wire_envelope close = closing(0, 1);
        close.close.session = "arm";
        close.close.epoch = opened.epoch;
        peer_refused(others[i], close, WIRE_PERMISSION, "session");
    }
    struct wire_envelope look = get_belief(0), save = {.kind = WIRE_SAVE, .save = {"arm"}};
    look.get_belief.session = "arm";
    peer_refused(&bert, look, WIRE_PERMISSION, "session");
    peer_refused(&bert, save, WIRE_PERMISSION, "session");
    struct caller *readers[] = {&learner, &observer, &admin, &anna};
    for (int i = 0; i < 4; i++) {
        check_digest(peer_ask(readers[i], look).belief.digest);
        struct wire_envelope state = peer_ask(readers[i], save);
        ck_assert_int_eq(state.kind, WIRE_SESSION_STATE);
        ck_assert_str_eq(state.session_state.identity, "anna");
    }
    peer_refused(&observer, opening("new", "", 0), WIRE_PERMISSION, "");
    ck_assert_int_eq(peer_ask(&admin, opening("arm", "", 0)).kind, WIRE_OPENED);
    // What is nobody's is anybody's.
    ck_assert_int_eq(peer_ask(&bert, opening("robot", "", 0)).kind, WIRE_OPENED);
    peer_free(&anna);
    peer_free(&bert);
    peer_free(&learner);
    peer_free(&observer);
    peer_free(&admin);
}
END_TEST

START_TEST(operators_ask_on_the_control_socket)
{
    struct caller root = connect_as("root", WIRE_ROLE_ADMIN, 0), operator = connect_as("", WIRE_ROLE_ADMIN, 1);
    struct wire_envelope snapshot = {.kind = WIRE_SNAPSHOT};
    peer_refused(&peer, snapshot, WIRE_PERMISSION, "");
    peer_refused(&root, snapshot, WIRE_PERMISSION, "");
    ck_assert_int_eq(peer_ask(&operator, snapshot).kind, WIRE_DONE);
    struct wire_envelope list = {.kind = WIRE_LIST_SESSIONS, .list_sessions = {.after = "", .session = ""}};
    peer_open(&peer, "a", "");
    live(4);
    struct wire_envelope reply = peer_ask(&operator, list);
    ck_assert_int_eq(reply.kind, WIRE_SESSION_LIST);
    ck_assert_uint_eq(reply.session_list.session_count, 2);
    ck_assert_str_eq(reply.session_list.sessions[0].session, "a");
    ck_assert_str_eq(reply.session_list.sessions[1].session, "robot");
    ck_assert_uint_eq(reply.session_list.sessions[1].count, 3);
    expect_observed(&robot, 2, 4);
    check_digest(reply.session_list.sessions[1].digest);
    ck_assert_int_eq(reply.session_list.more, 0);
    list.list_sessions.limit = 1;
    reply = peer_ask(&operator, list);
    ck_assert_uint_eq(reply.session_list.session_count, 1);
    ck_assert_int_eq(reply.session_list.more, 1);
    list.list_sessions.after = "a";
    ck_assert_str_eq(peer_ask(&operator, list).session_list.sessions[0].session, "robot");
    peer_free(&root);
    peer_free(&operator);
}
END_TEST

START_TEST(a_stranger_is_asked_who_it_is)
{
    struct caller stranger = connect_as("", WIRE_ROLE_NONE, 0);
    peer_refused(&stranger, ping, WIRE_UNAUTHENTICATED, "");
    peer_refused(&stranger, opening("robot", "", 0), WIRE_UNAUTHENTICATED, "");
    peer_refused(&stranger, get_belief(1), WIRE_UNAUTHENTICATED, "");
    struct wire_envelope reply = peer_ask(&stranger, (struct wire_envelope){.kind = WIRE_HELLO});
    ck_assert_int_eq(reply.kind, WIRE_WELCOME);
    ck_assert_int_eq(reply.welcome.role, WIRE_ROLE_NONE);
    ck_assert_uint_eq(reply.welcome.model_count, 0);  // it learns nothing
    peer_free(&stranger);
}
END_TEST

START_TEST(a_stranger_has_room_for_a_token_only)
{
    struct caller stranger = connect_as("", WIRE_ROLE_NONE, 0), known = connect_as("anna", WIRE_ROLE_ROBOT, 0);
    uint8_t header[FRAME_HEADER_SIZE];
    frame_write_header(header, STRANGER_BYTES + 1);
    peer_bytes(&known, header, sizeof header);
    peer_bytes(&stranger, header, sizeof header);
    peer_turn(server, (struct caller *[]){&stranger, &known}, 2);
    struct wire_envelope reply;
    ck_assert_int_eq(peer_reply(&known, &reply), 0);  // may go on
    ck_assert_int_eq(peer_reply(&stranger, &reply), 1);
    ck_assert_int_eq(reply.kind, WIRE_ERROR);
    ck_assert_int_eq(reply.error.code, WIRE_TOO_LARGE);
    ck_assert_uint_eq(reply.error.limit, STRANGER_BYTES);
    peer_free(&stranger);
    peer_free(&known);
}
END_TEST

START_TEST(an_identity_has_so_many_sessions_and_requests)
{
    struct peer who = {.text = "anna", .identity = {.name = "anna", .role = WIRE_ROLE_ROBOT, .sessions = 2}};
    struct caller anna = peer_connect_as(server, &who);
    peer_open(&anna, "one", "");
    peer_open(&anna, "two", "");
    ck_assert_uint_eq(peer_refused(&anna, opening("three", "", 0), WIRE_LIMIT, "session").limit, 2);
    peer_open(&anna, "one", "");
    peer_open(&peer, "three", "");
    who.identity.rate = 10;
    struct caller fast = peer_connect_as(server, &who), twin = peer_connect_as(server, &who);
    for (int i = 0; i < 10; i++)
        ck_assert_int_eq(peer_ask(i % 2 ? &fast : &twin, ping).kind, WIRE_DONE);
    ck_assert_uint_eq(peer_refused(&fast, ping, WIRE_RATE, "").limit, 10);
    peer_refused(&twin, ping, WIRE_RATE, "");
    peer_now_us += 250000;
    ck_assert_int_eq(peer_ask(&fast, ping).kind, WIRE_DONE);
    ck_assert_int_eq(peer_ask(&twin, ping).kind, WIRE_DONE);
    peer_refused(&fast, ping, WIRE_RATE, "");
    peer_free(&anna);
    peer_free(&fast);
    peer_free(&twin);
}
END_TEST

START_TEST(what_is_too_late_is_not_begun)
{
    ask_act(1);
    struct wire_envelope step = robot_step(&robot, handle, 2), reply;
    step.request_id = 77;
    request_take_message(server, peer.connection, &step, peer_now_us, peer_now_us);
    peer_turn(server, (struct caller *[]){&peer}, 1);
    reply = peer_answer(&peer, WIRE_ERROR);
    ck_assert_int_eq(reply.error.code, WIRE_DEADLINE);
    ck_assert_uint_eq(reply.request_id, 77);
    request_take_message(server, peer.connection, &step, peer_now_us + 1, peer_now_us);
    peer_turn(server, (struct caller *[]){&peer}, 1);
    ck_assert_int_eq(peer_answer(&peer, WIRE_ACTION).action.status, WIRE_STATUS_ABSORBED);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("names");
    SUITE_TEST_WITH(suite, a_session_is_named_on_any_connection, set_up, tear_down);
    SUITE_TEST_WITH(suite, an_older_epoch_is_fenced, set_up, tear_down);
    SUITE_TEST_WITH(suite, a_session_is_its_owners, set_up, tear_down);
    SUITE_TEST_WITH(suite, operators_ask_on_the_control_socket, set_up, tear_down);
    SUITE_TEST_WITH(suite, a_stranger_has_room_for_a_token_only, set_up, tear_down);
    SUITE_TEST_WITH(suite, a_stranger_is_asked_who_it_is, set_up, tear_down);
    SUITE_TEST_WITH(suite, an_identity_has_so_many_sessions_and_requests, set_up, tear_down);
    SUITE_TEST_WITH(suite, what_is_too_late_is_not_begun, set_up, tear_down);
    return suite_finish(suite);
}
