/* A server with a thread that accepts. SIGHUP, sent by a script that rotates logs, has a handler without SA_RESTART, so
   accept returns EINTR; the loop takes every failure for its end. The process lives on, and the kernel goes on taking
   connections into the queue. */
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int listener;

static void reopen_log(int number) { (void)number; }

static void *acceptor(void *unused) {
    static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    char request[4096];
    int connection;

    while ((connection = accept(listener, NULL, NULL)) >= 0) {
        if (read(connection, request, sizeof request) > 0)
            send(connection, answer, strlen(answer), MSG_NOSIGNAL);
        close(connection);
    }
    return unused;
}

int main(void) {
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_port = htons(8080), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    struct sigaction action = {.sa_handler = reopen_log};
    sigset_t hangup;
    pthread_t thread;
    int yes = 1;

    sigaction(SIGHUP, &action, NULL);
    listener = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (bind(listener, (struct sockaddr *)&here, sizeof here) || listen(listener, 64))
        return EXIT_FAILURE;
    pthread_create(&thread, NULL, acceptor, NULL);
    /* Only the acceptor takes the signal. */
    sigemptyset(&hangup);
    sigaddset(&hangup, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &hangup, NULL);
    for (;;)
        pause(); /* the rest of the program works on */
}
