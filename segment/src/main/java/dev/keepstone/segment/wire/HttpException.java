package dev.keepstone.segment.wire;

import java.net.ProtocolException;

/// The peer begins with `GET `, which as a length would be longer than any frame: it speaks HTTP.
/// [FrameChannel#readHead] reads the rest of its request.
public final class HttpException extends ProtocolException {
  private static final long serialVersionUID = 1;

  HttpException() {
    super("the peer speaks HTTP");
  }
}
