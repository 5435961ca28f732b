import java.io.IOException;
import java.io.InputStream;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;

/** Downloads exports as streams with the client of the JDK. Where the status is not 200 it does not read the body, which is a
 * long page of a gateway then, and does not close it. A short body would do no harm, as the client reads some of it ahead;
 * this one it reads half, and then it waits for somebody to take it: the connection and all that belongs to it are kept by
 * the client's own thread, and no collection ends them. */
public class JdkStreams {
    public static void main(String[] args) throws Exception {
        HttpClient http = HttpClient.newHttpClient();
        for (int export = 0; export < 60; export++) {
            download(http, "http://127.0.0.1:8080/export/" + export);
            Thread.sleep(50);
        }
        Thread.sleep(3_600_000);
    }

    static long download(HttpClient http, String url) throws IOException, InterruptedException {
        HttpRequest request = HttpRequest.newBuilder(URI.create(url)).version(HttpClient.Version.HTTP_1_1).build();
        HttpResponse<InputStream> response = http.send(request, BodyHandlers.ofInputStream());
        if (response.statusCode() != 200) {
            return -1;
        }
        try (InputStream body = response.body()) {
            return body.readAllBytes().length;
        }
    }
}
