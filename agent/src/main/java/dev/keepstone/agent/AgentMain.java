package dev.keepstone.agent;

import dev.keepstone.agent.place.Notify;
import dev.keepstone.agent.place.Session;
import dev.keepstone.core.bytes.Disk;
import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.store.tier.StoreClock;
import java.io.IOException;
import java.security.SecureRandom;
import java.time.Clock;
import java.time.Duration;
import java.util.concurrent.locks.LockSupport;

/// The agent as a process: `AgentMain [--dir PATH] [--budget SIZE] [--limit-rate SIZE] [--gentle]
/// [--scrub SIZE] [--idle DURATION] [--stop-timeout DURATION] [--foreground]`. `keepstone agent
/// start` and the clients start it.
///
/// It leaves the session of whoever started it unless it is to stay in the foreground, where it
/// also tells its log to stderr. On SIGTERM and SIGINT it drains what is sealed and ends with 0, or
/// with 3 where the time for that was over and the next agent has to. Whoever supervises it is told
/// by `sd_notify` when it takes connections and when it begins to end.
public final class AgentMain {
  private static final int FAILED = 1;
  private static final int USAGE = 2;
  private static final int LEFT = 3;
  private static final int DENIED = 4;
  private static final int REFUSED = 7;
  private static final int BUSY = 8;

  /// What the end itself takes beyond draining.
  private static final Duration END_MARGIN = Duration.ofSeconds(15);

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
      Notify notify = Notify.of(System.getenv());
      Duration patience = line.options().stopTimeout();
      Runtime.getRuntime().addShutdownHook(new Thread(() -> stop(agent, notify, patience), "stop"));
      notify.tell("READY=1", "STATUS=" + line.options().directory().path());
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

  private static void stop(Agent agent, Notify notify, Duration patience) {
    long micros = patience.plus(END_MARGIN).toNanos() / 1000;
    notify.tell("STOPPING=1", "EXTEND_TIMEOUT_USEC=" + micros, "STATUS=draining");
    agent.stop(false);
    try {
      agent.awaitEnd();
      // By itself a virtual machine that was signalled ends with 143: an ordinary end looks like a
      // crash to whoever supervises it.
      Runtime.getRuntime().halt(agent.left() == 0 ? 0 : LEFT);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  private static void pause(Duration time) {
    LockSupport.parkNanos(time.toNanos());
  }
}
