import java.io.IOException;
import java.io.InputStream;
import java.net.HttpURLConnection;
import java.net.URL;

/** Asks for an item five times a second, and looks at nothing but the status when it is not a 200. The error stream is never
 * read and nothing is disconnected, so each connection stays open until its object is garbage and a collection comes by. The
 * program leaves little garbage, so that takes its time: the larger the heap, the longer. */
public class UrlConnection {
    public static void main(String[] args) throws Exception {
        for (int item = 0;; item++) {
            ask("http://127.0.0.1:8080/item/" + item);
            Thread.sleep(200);
        }
    }

    static byte[] ask(String url) throws IOException {
        HttpURLConnection connection = (HttpURLConnection) new URL(url).openConnection();
        if (connection.getResponseCode() != 200) {
            return null;
        }
        try (InputStream body = connection.getInputStream()) {
            return body.readAllBytes();
        }
    }
}
