import jakarta.servlet.http.HttpServlet;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;
import java.io.File;
import java.io.IOException;
import java.util.Optional;
import org.apache.catalina.Context;
import org.apache.catalina.startup.Tomcat;

/** A shop: Tomcat with 20 request threads on port 8080. To show an item it asks another service on port 9090 for the price,
 * and shows the item without one when there is none. What goes wrong is in PriceClient. */
public class Shop {
    public static void main(String[] args) throws Exception {
        Tomcat tomcat = new Tomcat();
        tomcat.setBaseDir("tomcat");
        tomcat.setPort(8080);
        tomcat.getConnector().setProperty("address", "127.0.0.1");
        tomcat.getConnector().setProperty("maxThreads", "20");
        Context context = tomcat.addContext("", new File(".").getAbsolutePath());
        PriceClient prices = new PriceClient("http://127.0.0.1:9090", 50);
        Tomcat.addServlet(context, "item", new ItemPage(prices)).addMapping("/item/*");
        tomcat.start();
        tomcat.getServer().await();
    }

    static class ItemPage extends HttpServlet {
        private static final long serialVersionUID = 1;
        private final transient PriceClient prices;

        ItemPage(PriceClient prices) {
            this.prices = prices;
        }

        @Override
        protected void doGet(HttpServletRequest request, HttpServletResponse response) throws IOException {
            Optional<String> price = prices.of(request.getPathInfo());
            response.setContentType("text/plain");
            response.getWriter().println("a fine teapot, " + price.orElse("price on request"));
        }
    }
}
