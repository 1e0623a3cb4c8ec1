// PPO's loss through the states of a recurrent encoder.

#include "recurrent_loss.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int recurrent_pass_init(struct recurrent_pass *pass, const struct sequence *sequence, const struct net *actor, size_t C,
                        size_t B)
{
    *pass = (struct recurrent_pass){
        .ppo = ppo_scratch_new(actor, C * B, 1), .dinput = calloc(C * B * actor->sizes[0], sizeof *pass->dinput),
    };
    if (pass->ppo && pass->dinput && sequence_pass_init(&pass->sequence, sequence, C, B) == 0)
        return 0;
    recurrent_pass_release(pass);
    return -ENOMEM;
}

void recurrent_pass_release(struct recurrent_pass *pass)
{
    sequence_pass_release(&pass->sequence);
    ppo_scratch_free(pass->ppo);
    free(pass->dinput);
    *pass = (struct recurrent_pass){0};
}

double recurrent_loss(struct actor *actor, const struct sequence *sequence, struct trainee *encoder,
                      struct recurrent_batch *batch, const struct ppo_settings *settings, struct recurrent_pass *pass,
                      struct ppo_report *report)
{
    size_t H = sequence->gru.hidden, width = actor->net.sizes[0], O = width - H, count = batch->C * batch->B;
    sequence_forward(sequence, encoder->parameters, &pass->sequence, batch->in, batch->mode, batch->first, batch->C,
                     batch->B);
    for (size_t row = 0; row < count; row++)
        memcpy(batch->input + row * width + O, pass->sequence.gru.states + row * H, H * sizeof(real));
    const struct experience experience = {
        .rows = count, .input = batch->input, .input_stride = width, .action = batch->action,
        .log_density = batch->log_density, .advantage = batch->advantage,
    };
    double loss = actor_loss(actor, &experience, batch->index, batch->rows, settings, pass->ppo, report);

    actor_dinput(actor, pass->dinput, batch->rows, pass->ppo);
    memset(pass->sequence.gru.dstates, 0, (count + batch->B) * H * sizeof(real));
    for (size_t i = 0; i < batch->rows; i++)
        memcpy(pass->sequence.gru.dstates + batch->index[i] * H, pass->dinput + i * width + O, H * sizeof(real));
    sequence_backward(sequence, encoder->parameters, encoder->gradient, &pass->sequence, batch->in, batch->mode);
    return loss;
}
