// Letters between loops; the contract is in mail.h.
#include "mail.h"

#include "arrival.h"
#include "durable.h"
#include "learning.h"
#include "question.h"
#include "server.h"

void mailbox_init(struct mailbox *mailbox)
{
    pthread_mutex_init(&mailbox->lock, NULL);
    mailbox->first = mailbox->last = NULL;
}

void mailbox_release(struct mailbox *mailbox)
{
    for (struct letter *letter = mailbox_take_all(mailbox), *next; letter; letter = next) {
        next = letter->next;
        letter->deliver(letter, NULL, 0);
    }
    pthread_mutex_destroy(&mailbox->lock);
}

void mailbox_put(struct mailbox *mailbox, struct letter *letter)
{
    letter->next = NULL;
    pthread_mutex_lock(&mailbox->lock);
    if (mailbox->last)
        mailbox->last->next = letter;
    else
        mailbox->first = letter;
    mailbox->last = letter;
    pthread_mutex_unlock(&mailbox->lock);
}

struct letter *mailbox_take_all(struct mailbox *mailbox)
{
    pthread_mutex_lock(&mailbox->lock);
    struct letter *first = mailbox->first;
    mailbox->first = mailbox->last = NULL;
    pthread_mutex_unlock(&mailbox->lock);
    return first;
}

void mail_post(struct house *house, size_t server, struct letter *letter)
{
    mailbox_put(&house->mailboxes[server], letter);
    if (house->options.wake)
        house->options.wake(house->options.context, server);
}

void server_take_mail(struct server *server, uint64_t now_us)
{
    struct letter *letter = mailbox_take_all(&server->house->mailboxes[server->index]);
    while (letter) {
        struct letter *next = letter->next;
        letter->deliver(letter, server, now_us);
        letter = next;
    }
    if (!server->queue)
        return;
    for (struct store_answer *answer; (answer = store_take_answer(server->queue)); store_answer_free(answer)) {
        struct question *question = (struct question *)(uintptr_t)answer->cookie;
        question->answered(question, server, answer, now_us);
    }
    durable_release(server, now_us);
    arrival_settle(server, now_us);
    feeds_turn(server, now_us);
}
