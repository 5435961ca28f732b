/* A server for jobs. The client sends one and ends its own direction, which says that this is all; a thread runs it as a child
   process for some minutes, sends the result and closes. Nothing is wrong: the client waits, as it should. */
#define _GNU_SOURCE
#include <netinet/in.h>
#include <pthread.h>
#include <spawn.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *seconds;

static void *serve(void *argument) {
    static const char result[] = "done\n";
    int connection = (int)(intptr_t)argument;
    char *const command[] = {"sleep", (char *)(uintptr_t)seconds, NULL};
    char job[4096];
    pid_t child;

    while (read(connection, job, sizeof job) > 0) {
    }
    if (posix_spawnp(&child, "sleep", NULL, NULL, command, environ) == 0)
        waitpid(child, NULL, 0);
    send(connection, result, strlen(result), MSG_NOSIGNAL);
    close(connection);
    return NULL;
}

int main(int count, char **arguments) {
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_port = htons(8080), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), yes = 1;

    seconds = count > 1 ? arguments[1] : "1";
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (bind(listener, (struct sockaddr *)&here, sizeof here) || listen(listener, 128))
        return EXIT_FAILURE;
    for (;;) {
        pthread_t thread;
        int connection = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        if (connection >= 0 && pthread_create(&thread, NULL, serve, (void *)(intptr_t)connection) == 0)
            pthread_detach(thread);
    }
}
