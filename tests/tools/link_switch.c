/* A switch between network namespaces that makes packets late and slow, for tests of what
 * finds such links. Each namespace gets a TUN device "link0"; packets go by the last number
 * of their IPv4 address, 1 for the first namespace. It needs root, knows IPv4 only, and is no
 * part of the program.
 *
 *     link_switch CONFIG NAMESPACE...      prints "ready", and runs until it is killed
 *
 * CONFIG, read at the start and again on SIGHUP ("ready" is printed again):
 *     default DELAY_US MBIT_PER_S          every link
 *     FROM TO DELAY_US MBIT_PER_S          one direction of a pair, by number from 1 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#define NODES_MAX    64
#define PACKET_BYTES 65536
#define BATCH        16
/* What waits longer than this for its link is dropped, as a switch does. */
#define QUEUE_NS 50000000

typedef struct packet {
    int64_t due_ns;
    uint64_t number; /* of two that are due at once the earlier goes first */
    int to;
    size_t bytes;
    unsigned char *data;
} packet;

typedef struct link_shape {
    double delay_us, mbit_per_s;
    int64_t busy_until_ns;
} link_shape;

static struct pollfd port[NODES_MAX];
static link_shape shape[NODES_MAX][NODES_MAX];
static int nodes;
/* A heap by due_ns. */
static packet *queue;
static size_t queued, room;
static uint64_t numbered;
static volatile sig_atomic_t must_read = 1;

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static void on_hangup(int signal_number)
{
    (void)signal_number;
    must_read = 1;
}

static int64_t now_ns(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* ---- The queue ------------------------------------------------------------------------- */

static bool is_before(const packet *a, const packet *b)
{
    return a->due_ns < b->due_ns || (a->due_ns == b->due_ns && a->number < b->number);
}

static void swap(size_t a, size_t b)
{
    const packet moved = queue[a];
    queue[a] = queue[b];
    queue[b] = moved;
}

static void push(const packet *p)
{
    if (queued == room) {
        room = room == 0 ? 1024 : 2 * room;
        packet *const grown = realloc(queue, room * sizeof *grown);
        if (grown == NULL) {
            die("realloc");
        }
        queue = grown;
    }
    size_t i = queued++;
    queue[i] = *p;
    for (; i > 0 && is_before(&queue[i], &queue[(i - 1) / 2]); i = (i - 1) / 2) {
        swap(i, (i - 1) / 2);
    }
}

static packet pop(void)
{
    const packet first = queue[0];
    queue[0] = queue[--queued];
    queue[queued].data = NULL;
    for (size_t i = 0;;) {
        size_t least = i;
        for (size_t child = 2 * i + 1; child <= 2 * i + 2 && child < queued; child++) {
            least = is_before(&queue[child], &queue[least]) ? child : least;
        }
        if (least == i) {
            return first;
        }
        swap(i, least);
        i = least;
    }
}

/* ---- The links ------------------------------------------------------------------------- */

static void read_config(const char *path)
{
    char line[128];
    FILE *file = fopen(path, "r");
    if (file == NULL) {
        die(path);
    }
    while (fgets(line, sizeof line, file) != NULL) {
        link_shape s = {.busy_until_ns = 0};
        int from = 0, to = 0;
        if (sscanf(line, "default %lf %lf", &s.delay_us, &s.mbit_per_s) == 2) {
            for (int i = 0; i < nodes * nodes; i++) {
                shape[i / nodes][i % nodes] = s;
            }
        } else if (sscanf(line, "%d %d %lf %lf", &from, &to, &s.delay_us,
                          &s.mbit_per_s) == 4 &&
                   from >= 1 && from <= nodes && to >= 1 && to <= nodes) {
            shape[from - 1][to - 1] = s;
        } else {
            (void)fprintf(stderr, "link_switch: %s: not understood: %s", path, line);
            exit(2);
        }
    }
    (void)fclose(file);
    (void)puts("ready");
    (void)fflush(stdout);
}

/* The TUN device of a namespace; the caller's thread is in that namespace afterwards. */
static int open_port(const char *namespace_name)
{
    char path[256];
    struct ifreq request;
    (void)snprintf(path, sizeof path, "/run/netns/%s", namespace_name);
    const int space = open(path, O_RDONLY | O_CLOEXEC);
    if (space < 0 || setns(space, CLONE_NEWNET) != 0) {
        die(path);
    }
    (void)close(space);
    const int tun = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    memset(&request, 0, sizeof request);
    (void)snprintf(request.ifr_name, sizeof request.ifr_name, "link0");
    request.ifr_flags = IFF_TUN | IFF_NO_PI;
    if (tun < 0 || ioctl(tun, TUNSETIFF, &request) != 0) {
        die("/dev/net/tun");
    }
    return tun;
}

/* Behind what the link is busy with, and its delay later. */
static void take_in(int from, const unsigned char *data, size_t bytes)
{
    const bool is_ipv4 = bytes >= 20 && data[0] >> 4 == 4;
    const int to = is_ipv4 ? data[19] - 1 : -1;
    if (to < 0 || to >= nodes) {
        return;
    }
    link_shape *const link = &shape[from][to];
    const int64_t now = now_ns();
    int64_t start = link->busy_until_ns > now ? link->busy_until_ns : now;
    if (start - now > QUEUE_NS) {
        return;
    }
    start += (int64_t)((double)bytes * 8e3 / link->mbit_per_s);
    link->busy_until_ns = start;
    const packet p = {.due_ns = start + (int64_t)(link->delay_us * 1e3),
                      .number = numbered++,
                      .to = to,
                      .bytes = bytes,
                      .data = malloc(bytes)};
    if (p.data == NULL) {
        die("malloc");
    }
    memcpy(p.data, data, bytes);
    push(&p);
}

static void deliver_due(void)
{
    while (queued > 0 && queue[0].due_ns <= now_ns()) {
        const packet p = pop();
        /* A device that cannot take it in drops it. */
        const ssize_t written = write(port[p.to].fd, p.data, p.bytes);
        if (written < 0 && errno != EAGAIN && errno != EIO) {
            die("write");
        }
        free(p.data);
    }
}

static void wait_for_packets(void)
{
    struct timespec until = {.tv_sec = 1};
    if (queued > 0) {
        const int64_t left = queue[0].due_ns - now_ns();
        until.tv_sec = left > 0 ? left / 1000000000 : 0;
        until.tv_nsec = left > 0 ? left % 1000000000 : 0;
    }
    if (ppoll(port, (nfds_t)nodes, &until, NULL) < 0 && errno != EINTR) {
        die("ppoll");
    }
}

static void take_all_in(void)
{
    static unsigned char data[PACKET_BYTES];
    for (int i = 0; i < nodes; i++) {
        ssize_t bytes = 1;
        for (int k = 0; k < BATCH && bytes > 0; k++) {
            bytes = read(port[i].fd, data, sizeof data);
            if (bytes > 0) {
                take_in(i, data, (size_t)bytes);
            }
        }
    }
}

int main(int argc, char **argv)
{
    nodes = argc - 2;
    if (nodes < 1 || nodes > NODES_MAX) {
        (void)fprintf(stderr, "usage: link_switch CONFIG NAMESPACE...\n");
        return 2;
    }
    for (int i = 0; i < nodes; i++) {
        port[i] = (struct pollfd){.fd = open_port(argv[i + 2]), .events = POLLIN};
    }
    (void)signal(SIGHUP, on_hangup);
    /* Sleeps end within a microsecond, not within the usual 50. */
    (void)prctl(PR_SET_TIMERSLACK, 1UL, 0, 0, 0);
    for (;;) {
        if (must_read) {
            must_read = 0;
            read_config(argv[1]);
        }
        deliver_due();
        wait_for_packets();
        take_all_in();
    }
}
