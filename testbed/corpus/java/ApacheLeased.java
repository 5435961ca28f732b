import java.io.IOException;
import org.apache.http.client.methods.CloseableHttpResponse;
import org.apache.http.client.methods.HttpGet;
import org.apache.http.impl.client.CloseableHttpClient;
import org.apache.http.impl.client.HttpClients;
import org.apache.http.impl.conn.PoolingHttpClientConnectionManager;
import org.apache.http.util.EntityUtils;

/** Ten workers ask for prices through one pool. The answer is read, and with that its connection given back, only when it
 * is a 200: a test never sees anything else, and then the backend has a bad night. Each 503 takes one connection out of the
 * pool for ever; when none is left, the workers wait for one without a time-out, which is the default. */
public class ApacheLeased {
    static CloseableHttpClient http;

    public static void main(String[] args) {
        int connections = Integer.parseInt(args[0]);
        PoolingHttpClientConnectionManager pool = new PoolingHttpClientConnectionManager();
        pool.setMaxTotal(connections);
        pool.setDefaultMaxPerRoute(connections);
        http = HttpClients.custom().setConnectionManager(pool).build();
        for (int worker = 0; worker < 10; worker++) {
            new Thread(ApacheLeased::work).start();
        }
    }

    static void work() {
        try {
            for (int item = 0;; item++) {
                price(item);
                Thread.sleep(50);
            }
        } catch (IOException | InterruptedException e) {
            e.printStackTrace();
        }
    }

    static String price(int item) throws IOException {
        CloseableHttpResponse response = http.execute(new HttpGet("http://127.0.0.1:8080/price/" + item));
        if (response.getStatusLine().getStatusCode() != 200) {
            return "unknown"; // and the response is neither consumed nor closed
        }
        return EntityUtils.toString(response.getEntity());
    }
}
