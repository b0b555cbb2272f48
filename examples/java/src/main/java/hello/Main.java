package hello;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.Executors;

/** A web app on the JDK's own server. */
public final class Main {
    static final String VERSION = "1";

    public static void main(String[] args) throws IOException {
        int port = Integer.parseInt(System.getenv().getOrDefault("PORT", "8080"));
        HttpServer server = HttpServer.create(new InetSocketAddress(port), 0);
        server.setExecutor(Executors.newCachedThreadPool());
        server.createContext("/", Main::answer);
        Runtime.getRuntime().addShutdownHook(new Thread(() -> server.stop(20))); // requests in flight are answered before the end
        server.start();
        System.out.println("listening on port " + port + ", version " + VERSION);
    }

    static void answer(HttpExchange exchange) throws IOException {
        String path = exchange.getRequestURI().getPath();
        String text = "not found\n";
        int status = 404;
        if (path.equals("/")) {
            String greeting = System.getenv().getOrDefault("GREETING", "Hello");
            text = greeting + " from Java " + System.getProperty("java.version") + " (version " + VERSION + ")\n";
            status = 200;
        } else if (path.equals("/healthz")) {
            text = "ok\n";
            status = 200;
        }
        byte[] body = text.getBytes(StandardCharsets.UTF_8);
        exchange.getResponseHeaders().set("Content-Type", "text/plain; charset=utf-8");
        exchange.sendResponseHeaders(status, body.length);
        exchange.getResponseBody().write(body);
        exchange.close();
    }
}
