import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;

/** Takes webhooks with 25 threads, and does 20 s of work before it answers each, though the senders wait for only two. What
 * comes while all threads are at work waits in their queue. All work is done in the end, and each connection closed with it:
 * slow, and short of threads, but nothing stays. */
public class SlowWebhooks {
    public static void main(String[] args) throws IOException {
        ExecutorService workers = Executors.newFixedThreadPool(25);
        try (ServerSocket listener = new ServerSocket(8080, 256, InetAddress.getLoopbackAddress())) {
            while (true) {
                Socket connection = listener.accept();
                workers.execute(() -> take(connection));
            }
        }
    }

    static void take(Socket connection) {
        try (connection) {
            connection.getInputStream().read(new byte[4096]);
            Thread.sleep(20_000); // calls a partner who is slow
            connection.getOutputStream().write("HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n".getBytes());
        } catch (IOException | InterruptedException e) {
            System.out.println("a sender has gone: " + e.getMessage());
        }
    }
}
