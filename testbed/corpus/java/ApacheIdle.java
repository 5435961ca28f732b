import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import org.apache.http.client.methods.CloseableHttpResponse;
import org.apache.http.client.methods.HttpGet;
import org.apache.http.impl.client.CloseableHttpClient;
import org.apache.http.impl.client.HttpClients;
import org.apache.http.impl.conn.PoolingHttpClientConnectionManager;
import org.apache.http.util.EntityUtils;

/** A report is made every hour, from 120 answers through a pool of 30 connections. All answers are read and closed, so all
 * connections go back. Nobody evicts idle ones, so they lie in the pool after the server has ended them; the pool tests each
 * before it hands it out again, and closes it then. */
public class ApacheIdle {
    static CloseableHttpClient http;

    public static void main(String[] args) throws Exception {
        PoolingHttpClientConnectionManager pool = new PoolingHttpClientConnectionManager();
        pool.setMaxTotal(30);
        pool.setDefaultMaxPerRoute(30);
        http = HttpClients.custom().setConnectionManager(pool).build();
        ExecutorService workers = Executors.newFixedThreadPool(30);
        while (true) {
            List<Callable<String>> pages = new ArrayList<>();
            for (int page = 0; page < 120; page++) {
                String path = "/orders/" + page;
                pages.add(() -> read(path));
            }
            workers.invokeAll(pages);
            Thread.sleep(1000 * Long.parseLong(args[0]));
        }
    }

    static String read(String path) throws Exception {
        try (CloseableHttpResponse response = http.execute(new HttpGet("http://127.0.0.1:8080" + path))) {
            return EntityUtils.toString(response.getEntity());
        }
    }
}
