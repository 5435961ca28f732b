import java.io.IOException;
import java.util.Optional;
import org.apache.http.HttpResponse;
import org.apache.http.client.HttpClient;
import org.apache.http.client.methods.HttpGet;
import org.apache.http.impl.client.HttpClients;
import org.apache.http.impl.conn.PoolingHttpClientConnectionManager;
import org.apache.http.util.EntityUtils;

/** Asks the price service, through a pool of connections. A connection goes back into the pool when the answer has been read
 * to its end, and that happens only after a 200. While the service answers 503, each item that somebody looks at costs a
 * connection; after the last one all request threads of the shop wait for one for ever. */
class PriceClient {
    private final HttpClient http;
    private final String service;

    PriceClient(String service, int connections) {
        PoolingHttpClientConnectionManager pool = new PoolingHttpClientConnectionManager();
        pool.setMaxTotal(connections);
        pool.setDefaultMaxPerRoute(connections);
        this.http = HttpClients.custom().setConnectionManager(pool).build();
        this.service = service;
    }

    Optional<String> of(String item) throws IOException {
        HttpResponse response = http.execute(new HttpGet(service + "/price" + item));
        if (response.getStatusLine().getStatusCode() != 200) {
            return Optional.empty(); // here the connection is lost
        }
        return Optional.of(EntityUtils.toString(response.getEntity()));
    }
}
