/* A server of two processes, each with a listener of its own on the same port (SO_REUSEPORT). A request for a report takes a
   lock twice, so the process that got it hangs. The kernel goes on giving it every other connection; the other one is well. */
#include <netinet/in.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void write_report(void) {
    pthread_mutex_lock(&lock); /* its caller has it */
    pthread_mutex_unlock(&lock);
}

static void serve(int connection) {
    static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    char request[4096];
    ssize_t length = read(connection, request, sizeof request);

    pthread_mutex_lock(&lock);
    if (length > 11 && memcmp(request, "GET /report", 11) == 0)
        write_report();
    pthread_mutex_unlock(&lock);
    send(connection, answer, strlen(answer), MSG_NOSIGNAL);
    close(connection);
}

int main(void) {
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_port = htons(8080), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int yes = 1;

    for (int number = 0; number < 2; number++) {
        int listener = socket(AF_INET, SOCK_STREAM, 0);
        setsockopt(listener, SOL_SOCKET, SO_REUSEPORT, &yes, sizeof yes);
        if (bind(listener, (struct sockaddr *)&here, sizeof here) || listen(listener, 128))
            return EXIT_FAILURE;
        if (fork() == 0)
            for (;;) {
                int connection = accept(listener, NULL, NULL);
                if (connection >= 0)
                    serve(connection);
            }
        close(listener);
    }
    while (wait(NULL) > 0) {
    }
}
