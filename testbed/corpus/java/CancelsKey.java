import java.net.InetSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.SelectionKey;
import java.nio.channels.Selector;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.util.HashMap;
import java.util.Map;

/** A server on NIO that cancels the key at the end of the input, and takes that for closing: the channel stays open. */
class CancelsKey {
    static final Map<Long, SocketChannel> sessions = new HashMap<>();
    static long number;

    public static void main(String[] arguments) throws Exception {
        var selector = Selector.open();
        var listener = ServerSocketChannel.open();
        listener.bind(new InetSocketAddress("127.0.0.1", 8080), 128);
        listener.configureBlocking(false);
        listener.register(selector, SelectionKey.OP_ACCEPT);
        while (true) {
            selector.select(CancelsKey::ready);
        }
    }

    static void ready(SelectionKey key) {
        try {
            if (key.isAcceptable()) {
                var client = ((ServerSocketChannel) key.channel()).accept();
                client.configureBlocking(false);
                client.register(key.selector(), SelectionKey.OP_READ);
                sessions.put(number++, client);
                return;
            }
            var client = (SocketChannel) key.channel();
            if (client.read(ByteBuffer.allocate(4096)) < 0) {
                key.cancel();
            } else {
                client.write(ByteBuffer.wrap("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok".getBytes()));
            }
        } catch (Exception error) {
            key.cancel();
        }
    }
}
