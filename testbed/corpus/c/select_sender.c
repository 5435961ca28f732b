/* A server with select that does all as it should: it writes when a socket can take more, and closes when the answer is
   out. Its clients say that they have no more to ask, and read the 12 MiB slowly: each takes minutes. */
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <unistd.h>

enum { LENGTH = 12 << 20 };

static struct {
    int asked;
    size_t sent;
} state[FD_SETSIZE];

/* Returns whether the connection goes on. */
static int advance(int connection, const char *answer) {
    char request[4096];

    if (!state[connection].asked) {
        state[connection].asked = read(connection, request, sizeof request) > 0;
        return state[connection].asked;
    }
    size_t left = LENGTH - state[connection].sent;
    ssize_t more = send(connection, answer, left, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (more > 0)
        state[connection].sent += (size_t)more;
    return more > 0 && state[connection].sent < LENGTH;
}

int main(void) {
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_port = htons(8080), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int listener = socket(AF_INET, SOCK_STREAM, 0), yes = 1, room = 256 << 10;
    char *answer = calloc(1, LENGTH);
    fd_set open;

    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    setsockopt(listener, SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
    if (!answer || bind(listener, (struct sockaddr *)&here, sizeof here) || listen(listener, 128))
        return EXIT_FAILURE;
    FD_ZERO(&open);
    for (;;) {
        fd_set read_set, write_set;
        FD_ZERO(&read_set);
        FD_ZERO(&write_set);
        FD_SET(listener, &read_set);
        for (int at = 0; at < FD_SETSIZE; at++)
            if (FD_ISSET(at, &open))
                FD_SET(at, state[at].asked ? &write_set : &read_set);
        if (select(FD_SETSIZE, &read_set, &write_set, NULL, NULL) < 0)
            continue;
        for (int at = 0; at < FD_SETSIZE; at++)
            if (at != listener && (FD_ISSET(at, &read_set) || FD_ISSET(at, &write_set)) && !advance(at, answer)) {
                close(at);
                FD_CLR(at, &open);
            }
        if (FD_ISSET(listener, &read_set)) {
            int connection = accept(listener, NULL, NULL);
            if (connection >= FD_SETSIZE)
                close(connection);
            else if (connection >= 0) {
                state[connection].asked = 0;
                state[connection].sent = 0;
                FD_SET(connection, &open);
            }
        }
    }
}
