import java.io.IOException;
import java.io.InputStream;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;

/** A bank with four workers. Each transfer locks the account that pays, and then the one that is paid; two transfers in
 * opposite directions at the same time lock each other out. The other two workers then wait for the same accounts, and all
 * connections that are accepted later wait in the workers' queue. */
public class Deadlock {
    static final Object CURRENT = new Object();
    static final Object SAVINGS = new Object();

    public static void main(String[] args) throws IOException {
        ExecutorService workers = Executors.newFixedThreadPool(4);
        try (ServerSocket listener = new ServerSocket(8080, 256, InetAddress.getLoopbackAddress())) {
            while (true) {
                Socket connection = listener.accept();
                workers.execute(() -> serve(connection));
            }
        }
    }

    static void serve(Socket connection) {
        try (connection; InputStream in = connection.getInputStream()) {
            byte[] request = new byte[4096];
            int length = in.read(request);
            boolean saves = new String(request, 0, Math.max(length, 0)).contains("to=savings");
            Object payer = saves ? CURRENT : SAVINGS;
            Object payee = saves ? SAVINGS : CURRENT;
            synchronized (payer) {
                Thread.sleep(30); // reads the balance from a database
                synchronized (payee) {
                    Thread.sleep(30); // writes both
                }
            }
            connection.getOutputStream().write("HTTP/1.1 204 No Content\r\n\r\n".getBytes());
        } catch (IOException | InterruptedException e) {
            System.out.println("a client has gone: " + e.getMessage());
        }
    }
}
