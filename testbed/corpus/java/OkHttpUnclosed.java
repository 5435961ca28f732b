import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import okhttp3.ConnectionPool;
import okhttp3.OkHttpClient;
import okhttp3.Request;
import okhttp3.Response;

/** Sends events, and closes the response only where it was a success. With `keep` the program keeps 80 failed responses, to
 * be looked at in a report: their connections are in use for as long as it runs. With `drop` it forgets them. Then OkHttp
 * finds out that nobody has them any more, and closes their connections itself (and says so in the log), but only once they
 * were collected, and when its pool is next cleaned: here every 30 s. One or two that were in use at the first collection have
 * become old objects, and wait for a full one. */
public class OkHttpUnclosed {
    public static void main(String[] args) throws Exception {
        boolean keep = args[0].equals("keep");
        OkHttpClient http = new OkHttpClient.Builder()
            .connectionPool(new ConnectionPool(5, 30, TimeUnit.SECONDS))
            .build();
        List<Response> failed = new ArrayList<>();
        for (int event = 0;; event++) {
            Request request = new Request.Builder().url("http://127.0.0.1:8080/event/" + event).build();
            Response response = http.newCall(request).execute();
            if (response.isSuccessful()) {
                response.close();
            } else if (keep) {
                failed.add(response);
            }
            if (keep && failed.size() == 80) {
                Thread.sleep(3_600_000);
            }
            byte[] next = new byte[512 * 1024]; // the next event is put together
            next[event % next.length] = 1;
            Thread.sleep(200);
        }
    }
}
