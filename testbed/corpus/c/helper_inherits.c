/* A server with one thread and poll. Once an hour it starts a helper with fork and exec; none of its sockets has
   FD_CLOEXEC, so the helper has all that are open then. The server closes its own when the clients leave. */
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MOST = 256 };

static volatile sig_atomic_t due;

static void is_due(int number) { due = number; }

static void start_helper(void) {
    due = 0;
    if (fork() == 0) {
        execlp("sleep", "sleep", "3600", (char *)NULL);
        _exit(127);
    }
}

int main(void) {
    static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_port = htons(8080), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    struct pollfd table[MOST];
    char request[4096];
    int count = 1, yes = 1;

    signal(SIGCHLD, SIG_IGN);
    struct sigaction action = {.sa_handler = is_due};
    sigaction(SIGUSR1, &action, NULL);
    table[0] = (struct pollfd){.fd = socket(AF_INET, SOCK_STREAM, 0), .events = POLLIN};
    setsockopt(table[0].fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (bind(table[0].fd, (struct sockaddr *)&here, sizeof here) || listen(table[0].fd, 128))
        return EXIT_FAILURE;
    for (;;) {
        int ready = poll(table, count, -1);
        if (due)
            start_helper();
        if (ready < 0)
            continue;
        if (table[0].revents && count < MOST)
            table[count++] = (struct pollfd){.fd = accept(table[0].fd, NULL, NULL), .events = POLLIN};
        for (int at = 1; at < count; at++) {
            if (!table[at].revents)
                continue;
            if (read(table[at].fd, request, sizeof request) > 0) {
                send(table[at].fd, answer, strlen(answer), MSG_NOSIGNAL);
                continue;
            }
            close(table[at].fd);
            table[at--] = table[--count];
        }
    }
}
