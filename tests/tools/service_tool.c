/* A client of `uniap serve` for tests, which knows nothing of the program's own:
 *   service_tool talk SOCKET COUNT SECONDS   sends standard input, prints COUNT lines that come
 *   service_tool stall SOCKET SECONDS        sends half a line, then nothing; then reads nothing
 *   service_tool fuzz SOCKET COUNT SEED FILE...   sends COUNT lines made from those of the files,
 *       most of them broken, and sees that the service still answers every so often
 * Exit status 0: as hoped. */
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define LINE_MAX_BYTES ((size_t)1 << 20)
#define SEEDS_MAX      512
#define ALIVE_EVERY    200 /* lines */
#define ALIVE_MS       20000

static double now_s(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int connect_to(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof address) != 0) {
        (void)fprintf(stderr, "service_tool: %s: %s\n", path, strerror(errno));
        exit(2);
    }
    return fd;
}

/* False: the other side has closed. */
static bool send_all(int fd, const char *bytes, size_t n)
{
    while (n > 0) {
        const ssize_t sent = send(fd, bytes, n, MSG_NOSIGNAL);
        if (sent < 0) {
            return false;
        }
        bytes += sent;
        n -= (size_t)sent;
    }
    return true;
}

/* ---- talk ---- */

static int talk(const char *path, long count, double seconds)
{
    static char buffer[65536];
    size_t n = 0;
    const int fd = connect_to(path);
    const double end_s = now_s() + seconds;
    while ((n = fread(buffer, 1, sizeof buffer, stdin)) > 0) {
        if (!send_all(fd, buffer, n)) {
            break;
        }
    }
    while (count > 0) {
        struct pollfd waits = {.fd = fd, .events = POLLIN};
        const double left_s = end_s - now_s();
        if (left_s <= 0 || poll(&waits, 1, (int)(1e3 * left_s) + 1) <= 0) {
            (void)fprintf(stderr, "service_tool: no answer in %g s\n", seconds);
            return 1;
        }
        const ssize_t got = recv(fd, buffer, sizeof buffer, 0);
        if (got <= 0) {
            (void)fprintf(stderr, "service_tool: closed\n");
            return 3;
        }
        for (ssize_t i = 0; i < got; i++) {
            count -= buffer[i] == '\n';
        }
        (void)fwrite(buffer, 1, (size_t)got, stdout);
    }
    (void)close(fd);
    return 0;
}

/* ---- stall ---- */

/* A client in mid-line, and one that asks and asks and never reads; the service lets go of
 * both. */
static int stall(const char *path, double seconds)
{
    static const char half[] = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"sta";
    static const char ask[] = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"status\","
                              "\"params\":{\"format\":\"prometheus\"}}\n";
    const int slow = connect_to(path), deaf = connect_to(path);
    const double end_s = now_s() + seconds;
    bool slow_gone = false, deaf_gone = false;
    char byte = 0;
    slow_gone = !send_all(slow, half, sizeof half - 1);
    while ((!slow_gone || !deaf_gone) && now_s() < end_s) {
        const struct timespec nap = {.tv_nsec = 1000000};
        const ssize_t sent = send(deaf, ask, sizeof ask - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
        deaf_gone = deaf_gone || (sent < 0 && errno != EAGAIN && errno != EWOULDBLOCK);
        slow_gone = slow_gone || recv(slow, &byte, 1, MSG_DONTWAIT) == 0;
        (void)nanosleep(&nap, NULL);
    }
    (void)fprintf(stderr, "service_tool: the slow one %s, the deaf one %s\n",
                  slow_gone ? "dropped" : "kept", deaf_gone ? "dropped" : "kept");
    return slow_gone && deaf_gone ? 0 : 1;
}

/* ---- fuzz ---- */

static uint64_t state;

static uint64_t draw(uint64_t n) /* xorshift64*, below n */
{
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return (state * 2685821657736338717u >> 11) % n;
}

static char *seed[SEEDS_MAX];
static size_t seed_n[SEEDS_MAX];
static size_t n_seeds;

static void read_seeds(const char *path)
{
    static char line[65536];
    FILE *file = fopen(path, "r");
    if (file == NULL) {
        (void)fprintf(stderr, "service_tool: %s: %s\n", path, strerror(errno));
        exit(2);
    }
    while (n_seeds < SEEDS_MAX && fgets(line, sizeof line, file) != NULL) {
        const size_t n = strcspn(line, "\n");
        seed[n_seeds] = malloc(n + 1);
        if (n > 0 && seed[n_seeds] != NULL) {
            memcpy(seed[n_seeds], line, n);
            seed_n[n_seeds++] = n;
        }
    }
    (void)fclose(file);
}

/* Inserts n bytes at a place; what does not fit is cut off. */
static size_t insert(char *to, size_t have, size_t at, const char *what, size_t n)
{
    if (have + n > LINE_MAX_BYTES) {
        return have;
    }
    memmove(to + at + n, to + at, have - at);
    memcpy(to + at, what, n);
    return have + n;
}

static size_t repeat(char *to, size_t have, size_t at, char byte, size_t n)
{
    if (have + n > LINE_MAX_BYTES) {
        return have;
    }
    memmove(to + at + n, to + at, have - at);
    memset(to + at, byte, n);
    return have + n;
}

/* One change; bytes of any kind, cuts, repeats, parts of other seeds, what parsers dislike. */
static size_t mutate(char *to, size_t n)
{
    static const char *const nasty[] = {"\\u0000",
                                        "\\ud800",
                                        "\xff\xfe",
                                        "\xc0\x80",
                                        "1e999",
                                        "-9223372036854775809",
                                        "{\"a\":1,\"a\":2}",
                                        "NaN",
                                        "[[[[[[[[",
                                        "null",
                                        "\"\\x\"",
                                        "../../../etc/passwd",
                                        "/dev/zero",
                                        "\n",
                                        "\r\n",
                                        "\n\n\n",
                                        "--help",
                                        "%s%n%n",
                                        "99999999999999999999"};
    const size_t at = n > 0 ? (size_t)draw(n) : 0;
    const size_t other = (size_t)draw(n_seeds);
    size_t cut = n > 0 ? 1 + (size_t)draw(n - at) : 0;
    switch (draw(9)) {
    case 0:
        to[at] = n > 0 ? (char)draw(256) : to[at];
        return n;
    case 1:
        memmove(to + at, to + at + cut, n - at - cut);
        return n - cut;
    case 2:
        return at;
    case 3: {
        const char *what = nasty[draw(sizeof nasty / sizeof nasty[0])];
        return insert(to, n, at, what, strlen(what));
    }
    case 4:
        return insert(to, n, at, seed[other], seed_n[other]);
    case 5:
        return repeat(to, n, at, "[{\"0 ,:"[draw(7)], (size_t)1 << draw(12));
    case 6:
        cut = cut > 64 ? 64 : cut;
        for (size_t i = 0; i < cut; i++) {
            to[at + i] = (char)draw(256);
        }
        return n;
    case 7:
        return repeat(to, n, at, 'x', (size_t)draw(20) == 0 ? 300000 : 100);
    default:
        if (n > 1) {
            const size_t with = (size_t)draw(n);
            const char kept = to[at];
            to[at] = to[with];
            to[with] = kept;
        }
        return n;
    }
}

/* Takes what has come, and forgets it; false: closed. */
static bool swallow(int fd)
{
    static char buffer[65536];
    ssize_t n = 0;
    while ((n = recv(fd, buffer, sizeof buffer, MSG_DONTWAIT)) > 0) {
    }
    return n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
}

/* Whether a fresh client is answered. */
static bool is_alive(const char *path)
{
    static const char ask[] = "{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"status\"}\n";
    char buffer[4096];
    const int fd = connect_to(path);
    struct pollfd waits = {.fd = fd, .events = POLLIN};
    const bool alive =
        send_all(fd, ask, sizeof ask - 1) && poll(&waits, 1, ALIVE_MS) == 1 &&
        recv(fd, buffer, sizeof buffer, 0) > 0 &&
        strncmp(buffer, "{\"jsonrpc\":\"2.0\",\"id\":7,\"result\"", 32) == 0;
    (void)close(fd);
    return alive;
}

/* Sends without waiting for the service to be done, but reads while it cannot be sent. */
static bool push(int fd, const char *bytes, size_t n)
{
    while (n > 0) {
        struct pollfd waits = {.fd = fd, .events = POLLIN | POLLOUT};
        const ssize_t sent = send(fd, bytes, n, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent >= 0) {
            bytes += sent;
            n -= (size_t)sent;
            continue;
        }
        if ((errno != EAGAIN && errno != EWOULDBLOCK) || !swallow(fd)) {
            return false;
        }
        (void)poll(&waits, 1, 100);
    }
    return swallow(fd);
}

static int fuzz(const char *path, long count)
{
    char *line = malloc(LINE_MAX_BYTES + 1);
    int fd = -1;
    long reconnects = 0;
    for (long i = 0; i < count && line != NULL; i++) {
        const size_t from = (size_t)draw(n_seeds);
        size_t n = seed_n[from];
        memcpy(line, seed[from], n);
        for (uint64_t k = draw(4); k > 0; k--) {
            n = mutate(line, n);
        }
        line[n] = '\n';
        if (fd < 0 || draw(100) == 0) { /* some go in mid-line */
            if (fd >= 0) {
                (void)send(fd, line, n / 2, MSG_NOSIGNAL | MSG_DONTWAIT);
                (void)close(fd);
            }
            fd = connect_to(path);
            reconnects++;
        }
        if (!push(fd, line, n + 1)) {
            (void)close(fd);
            fd = -1;
        }
        if ((i + 1) % ALIVE_EVERY == 0 && !is_alive(path)) {
            (void)fprintf(stderr, "service_tool: no answer after %ld lines\n", i + 1);
            return 1;
        }
    }
    free(line);
    (void)printf("%ld lines on %ld connections: the service answers\n", count,
                 reconnects);
    return 0;
}

int main(int argc, char **argv)
{
    int status = 2;
    if (argc == 5 && strcmp(argv[1], "talk") == 0) {
        return talk(argv[2], strtol(argv[3], NULL, 10), strtod(argv[4], NULL));
    }
    if (argc == 4 && strcmp(argv[1], "stall") == 0) {
        return stall(argv[2], strtod(argv[3], NULL));
    }
    if (argc > 5 && strcmp(argv[1], "fuzz") == 0) {
        state = strtoull(argv[4], NULL, 10) * 2 + 1;
        for (int i = 5; i < argc; i++) {
            read_seeds(argv[i]);
        }
        status = n_seeds > 0 ? fuzz(argv[2], strtol(argv[3], NULL, 10)) : 2;
        for (size_t i = 0; i < n_seeds; i++) {
            free(seed[i]);
        }
        return status;
    }
    (void)fprintf(stderr, "service_tool: see the top of its source\n");
    return status;
}
