/* A server with epoll and EPOLLONESHOT, as one with many threads needs it. After an answer it must arm the connection
   again; whoever wrote this thought of one request for each connection only. The client's end is never noticed. */
#define _GNU_SOURCE
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

int main(void) {
    static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_port = htons(8080), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), poll = epoll_create1(EPOLL_CLOEXEC), yes = 1;
    struct epoll_event event = {.events = EPOLLIN, .data = {.fd = listener}};
    char request[4096];

    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (bind(listener, (struct sockaddr *)&here, sizeof here) || listen(listener, 128))
        return EXIT_FAILURE;
    epoll_ctl(poll, EPOLL_CTL_ADD, listener, &event);
    for (;;) {
        if (epoll_wait(poll, &event, 1, -1) != 1)
            continue;
        if (event.data.fd == listener) {
            event.data.fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
            event.events = EPOLLIN | EPOLLONESHOT;
            epoll_ctl(poll, EPOLL_CTL_ADD, event.data.fd, &event);
        } else if (read(event.data.fd, request, sizeof request) > 0)
            send(event.data.fd, answer, strlen(answer), MSG_NOSIGNAL); /* and never armed again */
        else
            close(event.data.fd);
    }
}
