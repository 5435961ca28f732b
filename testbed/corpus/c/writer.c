/* A server with a thread for each connection, which writes a long answer with a blocking socket and no time-out. A client
   that has ended its own direction and then reads nothing holds the thread for ever: its zero window is kept alive by the
   answers to the probes. */
#include <netinet/in.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { LENGTH = 32 << 20 };

static char *report;

static void *serve(void *argument) {
    int connection = (int)(intptr_t)argument;
    char request[4096];

    if (read(connection, request, sizeof request) > 0)
        for (size_t sent = 0; sent < LENGTH;) {
            ssize_t more = send(connection, report + sent, LENGTH - sent, MSG_NOSIGNAL);
            if (more <= 0)
                break;
            sent += (size_t)more;
        }
    close(connection);
    return NULL;
}

int main(void) {
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_port = htons(8080), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int listener = socket(AF_INET, SOCK_STREAM, 0), yes = 1;

    report = calloc(1, LENGTH);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (!report || bind(listener, (struct sockaddr *)&here, sizeof here) || listen(listener, 128))
        return EXIT_FAILURE;
    for (;;) {
        pthread_t thread;
        int connection = accept(listener, NULL, NULL);
        if (connection >= 0 && pthread_create(&thread, NULL, serve, (void *)(intptr_t)connection) == 0)
            pthread_detach(thread);
    }
}
