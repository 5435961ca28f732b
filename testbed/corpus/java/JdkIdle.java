import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;

/** The healthy twin of ApacheIdle: the client of the JDK watches the connections that lie in its pool, and closes each as
 * soon as the server does. */
public class JdkIdle {
    public static void main(String[] args) throws Exception {
        HttpClient http = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();
        while (true) {
            List<CompletableFuture<?>> pages = new ArrayList<>();
            for (int page = 0; page < 30; page++) {
                URI url = URI.create("http://127.0.0.1:8080/orders/" + page);
                pages.add(http.sendAsync(HttpRequest.newBuilder(url).build(), BodyHandlers.ofString()));
            }
            pages.forEach(CompletableFuture::join);
            Thread.sleep(12_000);
        }
    }
}
