// The robot's process and the memory it shares with its controller; the contract is in robot.h.
//
// States go one way through a ring with one writer, commands the other way through one slot with a sequence
// lock. Nobody ever waits for the other.
#include "robot.h"

#include "ticker.h"

#include "daemon/base/random.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { STREAM_TASK = 0x726f626f, STREAM_START };  // random streams
enum { READY_SECONDS = 30 };

struct slot {
    uint64_t tick;
    int64_t sensed;
    int first, last;
    float reward;
};

struct shared {
    atomic_int ready, halt;           // ready: 1, or the negative errno of its opening
    _Atomic int64_t begin;            // 0: not yet
    _Atomic uint64_t told;            // newest tick in the ring
    _Atomic uint64_t watchdogs;
    _Atomic uint64_t command_lock;    // odd while a command is written; 0: there was none
    _Atomic int64_t commanded;        // when
    char why[256];
    struct slot slots[ROBOT_MEMORY];
};

struct robot {
    struct robot_options options;
    pid_t process;
    size_t obs, act, width;
    size_t memory_size;
    struct shared *shared;
    _Atomic float *command;           // (act), in shared memory
    float *numbers;                   // (ROBOT_MEMORY, width) in shared memory
    uint64_t read;                    // last tick that was read
    float *executed;                  // robot's side: command in force  (act)
};

static float *numbers_of(const struct robot *robot, uint64_t tick)
{
    return robot->numbers + tick % ROBOT_MEMORY * robot->width;
}

// ---- The robot's side -----------------------------------------------------------------------------------------

// The command in force, never half of one: while it is being written the one before stays.
static void take_command(struct robot *robot, int64_t now)
{
    struct shared *shared = robot->shared;
    uint64_t lock = atomic_load(&shared->command_lock);
    if (lock == 0)
        return;
    if (now - atomic_load(&shared->commanded) > (int64_t)(robot->options.watchdog_seconds * 1e9)) {
        memset(robot->executed, 0, robot->act * sizeof *robot->executed);
        atomic_fetch_add(&shared->watchdogs, 1);
        return;
    }
    float fresh[64];
    if (lock % 2)
        return;
    for (size_t i = 0; i < robot->act; i++)
        fresh[i] = atomic_load_explicit(&robot->command[i], memory_order_acquire);
    if (atomic_load(&shared->command_lock) == lock)
        memcpy(robot->executed, fresh, robot->act * sizeof *fresh);
}

static void publish(struct robot *robot, struct slot slot, const float *observation)
{
    float *numbers = numbers_of(robot, slot.tick);
    slot.sensed = ticker_now();
    robot->shared->slots[slot.tick % ROBOT_MEMORY] = slot;
    memcpy(numbers, robot->executed, robot->act * sizeof *numbers);
    memcpy(numbers + robot->act, observation, robot->obs * sizeof *numbers);
    atomic_store(&robot->shared->told, slot.tick);
}

void robot_task(const struct robot_options *options, double *task)
{
    struct random_stream stream = random_stream(options->seed, STREAM_TASK, 0, 0);
    options->world->sample_task(&stream, task);
}

static void live(struct robot *robot, struct world_instance *instance)
{
    const struct robot_options *o = &robot->options;
    const struct world *world = o->world;
    float *observation = calloc(robot->obs, sizeof *observation);
    double task[WORLD_TASK_LIMIT];
    robot_task(o, task);
    while (!atomic_load(&robot->shared->begin))
        nanosleep(&(struct timespec){.tv_nsec = 200000}, NULL);

    struct ticker ticker;
    if (!observation || ticker_start(&ticker, o->rate, 0, atomic_load(&robot->shared->begin)))
        return;
    uint64_t in_episode = 0;
    uint32_t episode = 0;
    for (uint64_t tick = 1; !atomic_load(&robot->shared->halt); tick++) {
        struct slot slot = {.tick = tick, .first = in_episode == 0};
        ticker_wait(&ticker);
        if (!slot.first) {
            take_command(robot, ticker_now());
            int result = world->step(instance, robot->executed, &slot.reward, observation);
            slot.first = result < 0;  // the physics broke: that step is void, it stands at a start again
            slot.last = result == 1 || in_episode == o->episode_ticks;
        }
        if (slot.first) {
            struct random_stream start = random_stream(o->seed, STREAM_START, episode++, 0);
            world->reset(instance, task, &start, observation);
            in_episode = 0;
        }
        publish(robot, slot, observation);
        in_episode = slot.last ? 0 : in_episode + 1;
    }
}

static void be_robot(struct robot *robot)
{
    struct shared *shared = robot->shared;
    struct world_instance *instance;
    int error = robot->options.world->open(&instance, shared->why, sizeof shared->why);
    atomic_store(&shared->ready, error ? error : 1);
    if (!error)
        live(robot, instance);
    _exit(0);
}

// ---- The controller's side ------------------------------------------------------------------------------------

int robot_start(struct robot **out, const struct robot_options *options, char *why, size_t why_size)
{
    const struct world *world = options->world;
    struct robot *robot = calloc(1, sizeof *robot);
    snprintf(why, why_size, "no memory for a robot");
    if (!robot)
        return -ENOMEM;
    robot->options = *options;
    robot->obs = world->observation_dim;
    robot->act = world->action_dim;
    robot->width = robot->obs + robot->act;
    size_t numbers = ROBOT_MEMORY * robot->width * sizeof(float);
    robot->memory_size = sizeof(struct shared) + numbers + robot->act * sizeof(float);
    void *memory = mmap(NULL, robot->memory_size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    robot->executed = calloc(robot->act, sizeof *robot->executed);
    if (memory == MAP_FAILED || !robot->executed || robot->act > 64) {
        if (memory != MAP_FAILED)
            munmap(memory, robot->memory_size);
        free(robot->executed);
        free(robot);
        return -ENOMEM;
    }
    robot->shared = memory;
    robot->numbers = (float *)(robot->shared + 1);
    robot->command = (_Atomic float *)((char *)robot->numbers + numbers);

    pid_t parent = getpid();
    fflush(NULL);
    robot->process = fork();
    if (robot->process == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        signal(SIGINT, SIG_IGN);  // the controller ends it
        if (getppid() == parent)
            be_robot(robot);
        _exit(1);
    }
    int ready = robot->process < 0 ? -errno : 0;
    for (int64_t until = ticker_now() + READY_SECONDS * 1000000000LL; !ready && ticker_now() < until;) {
        ready = atomic_load(&robot->shared->ready);
        if (!ready && waitpid(robot->process, NULL, WNOHANG) != 0) {
            robot->process = -1;
            ready = -ECHILD;
        }
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
    if (ready == 1) {
        *out = robot;
        return 0;
    }
    snprintf(why, why_size, "the robot did not start: %s",
             robot->shared->why[0] ? robot->shared->why : strerror(ready ? -ready : ETIMEDOUT));
    robot_stop(robot);
    return ready ? ready : -ETIMEDOUT;
}

void robot_begin(struct robot *robot, int64_t when)
{
    atomic_store(&robot->shared->begin, when);
}

void robot_command(struct robot *robot, const float *action)
{
    struct shared *shared = robot->shared;
    atomic_fetch_add(&shared->command_lock, 1);
    for (size_t i = 0; i < robot->act; i++)
        atomic_store_explicit(&robot->command[i], action[i], memory_order_release);
    atomic_store(&shared->commanded, ticker_now());
    atomic_fetch_add(&shared->command_lock, 1);
}

static int has_ended(struct robot *robot)
{
    if (robot->process < 0 || waitpid(robot->process, NULL, WNOHANG) == 0)
        return 0;
    robot->process = -1;
    return 1;
}

int robot_read(struct robot *robot, struct robot_state *state)
{
    uint64_t told = atomic_load(&robot->shared->told), tick = robot->read + 1;
    if (told < tick)
        return has_ended(robot) ? -ECHILD : 0;
    const struct slot *slot = &robot->shared->slots[tick % ROBOT_MEMORY];
    const float *numbers = numbers_of(robot, tick);
    state->tick = slot->tick;
    state->first = slot->first;
    state->last = slot->last;
    state->reward = slot->reward;
    state->sensed = slot->sensed;
    memcpy(state->executed, numbers, robot->act * sizeof *numbers);
    memcpy(state->observation, numbers + robot->act, robot->obs * sizeof *numbers);
    robot->read = tick;
    // Adds nothing, but what was read above was read before.
    return atomic_fetch_add(&robot->shared->told, 0) - tick < ROBOT_MEMORY - 1 ? 1 : -EOVERFLOW;
}

void robot_halt(struct robot *robot)
{
    atomic_store(&robot->shared->halt, 1);
    if (robot->process > 0)
        waitpid(robot->process, NULL, 0);
    robot->process = -1;
}

void robot_stop(struct robot *robot)
{
    if (!robot)
        return;
    if (robot->process > 0) {
        kill(robot->process, SIGKILL);
        waitpid(robot->process, NULL, 0);
    }
    munmap(robot->shared, robot->memory_size);
    free(robot->executed);
    free(robot);
}

uint64_t robot_watchdogs(const struct robot *robot)
{
    return atomic_load(&robot->shared->watchdogs);
}
