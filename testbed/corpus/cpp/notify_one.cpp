// A server with a thread for each connection, which is not ready when its first clients come: their threads wait for the
// catalogue. When it has been loaded, notify_one() wakes one of them, where notify_all() was meant. Whoever comes later finds
// it loaded, and is served at once: no check of the server's health sees anything.
#include <arpa/inet.h>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <string>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>

static std::mutex lock;
static std::condition_variable changed;
static bool loaded = false;

static void serve(int connection)
{
    char request[4096];
    if (read(connection, request, sizeof request) > 0) {
        std::unique_lock<std::mutex> held(lock);
        changed.wait(held, [] { return loaded; });
        const std::string answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";
        send(connection, answer.data(), answer.size(), MSG_NOSIGNAL);
    }
    close(connection);
}

static void load()
{
    std::this_thread::sleep_for(std::chrono::seconds(5));
    std::lock_guard<std::mutex> held(lock);
    loaded = true;
    changed.notify_one();
}

int main()
{
    int listener = socket(AF_INET, SOCK_STREAM, 0), on = 1;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(8080);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bind(listener, reinterpret_cast<sockaddr *>(&address), sizeof address) != 0 || listen(listener, 128) != 0)
        return 1;
    std::thread(load).detach();
    for (;;) {
        int connection = accept(listener, nullptr, nullptr);
        if (connection >= 0)
            std::thread(serve, connection).detach();
    }
}
