package dev.keepstone.agent;

import dev.keepstone.agent.place.Session;
import dev.keepstone.core.bytes.Disk;
import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.store.tier.StoreClock;
import java.io.IOException;
import java.security.SecureRandom;
import java.time.Clock;
import java.time.Duration;
import java.util.concurrent.locks.LockSupport;

/// The agent as a process: `AgentMain [--dir PATH] [--budget SIZE] [--limit-rate SIZE] [--idle
/// DURATION] [--foreground]`. `keepstone agent start` and the clients start it.
///
/// It leaves the session of whoever started it unless it is to stay in the foreground, and ends on
/// SIGTERM and SIGINT after draining what is sealed.
public final class AgentMain {
  private static final int FAILED = 1;
  private static final int USAGE = 2;
  private static final int DENIED = 4;
  private static final int REFUSED = 7;
  private static final int BUSY = 8;

  private AgentMain() {}

  /// @param arguments see the class
  public static void main(String[] arguments) throws InterruptedException {
    int code = run(arguments);
    if (code != 0) {
      System.exit(code);
    }
  }

  private static int run(String[] arguments) throws InterruptedException {
    CommandLine line;
    try {
      line = CommandLine.parse(arguments, System.getenv());
    } catch (IllegalArgumentException e) {
      System.err.println("keepstone agent: " + e.getMessage());
      return USAGE;
    }
    if (!line.foreground()) {
      Session.leave();
    }
    StoreClock clock = StoreClock.of(Clock.systemUTC(), System::nanoTime, AgentMain::pause);
    try {
      Agent agent = Agent.start(line.options(), Node.of(Disk.local(), clock, new SecureRandom()));
      Runtime.getRuntime().addShutdownHook(new Thread(() -> stop(agent), "stop"));
      agent.awaitEnd();
      return 0;
    } catch (KeepstoneException e) {
      System.err.println("keepstone agent: " + e.getMessage());
      return switch (e) {
        case KeepstoneException.Busy _ -> BUSY;
        case KeepstoneException.Denied _ -> DENIED;
        case KeepstoneException.Refused _ -> REFUSED;
        default -> FAILED;
      };
    } catch (IOException e) {
      System.err.println("keepstone agent: " + e);
      return FAILED;
    }
  }

  private static void stop(Agent agent) {
    agent.stop(false);
    try {
      agent.awaitEnd();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  private static void pause(Duration time) {
    LockSupport.parkNanos(time.toNanos());
  }
}
