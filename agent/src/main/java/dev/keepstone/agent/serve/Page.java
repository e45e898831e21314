package dev.keepstone.agent.serve;

import dev.keepstone.agent.events.Exposition;
import dev.keepstone.segment.wire.FrameChannel;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.function.Supplier;

/// The one page of the socket, for scrapers: `GET /metrics`. One request a connection.
final class Page {
  private static final int MOST_HEAD_BYTES = 8 << 10;

  private Page() {}

  static void answer(FrameChannel frames, Supplier<String> metrics) throws IOException {
    // "GET " has been read.
    String head = frames.readHead(MOST_HEAD_BYTES);
    String path = head.substring(0, Math.max(0, head.indexOf(' ')));
    boolean known = path.equals("/metrics");
    String body = known ? metrics.get() : "there is nothing here but /metrics\n";
    byte[] bytes = body.getBytes(StandardCharsets.UTF_8);
    String answer =
        "HTTP/1.1 "
            + (known ? "200 OK" : "404 Not Found")
            + "\r\nContent-Type: "
            + Exposition.CONTENT_TYPE
            + "\r\nContent-Length: "
            + bytes.length
            + "\r\nConnection: close\r\n\r\n";
    frames.writeRaw(answer.getBytes(StandardCharsets.US_ASCII));
    frames.writeRaw(bytes);
  }
}
