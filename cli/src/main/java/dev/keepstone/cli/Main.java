package dev.keepstone.cli;

import dev.keepstone.Host;
import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.core.json.Json;
import dev.keepstone.core.json.JsonWriter;
import java.io.FileDescriptor;
import java.io.IOException;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine;
import picocli.CommandLine.ParameterException;

/// The process: parses, runs one verb, prints its answer or failure, ends with an [ExitCode].
final class Main {
  /// How long an interrupted verb may take to remove what it has half written.
  private static final int CLEAN_UP_SECONDS = 5;

  private Main() {}

  public static void main(String[] args) {
    Standard out = new Standard(FileDescriptor.out);
    Standard err = new Standard(FileDescriptor.err);
    String terminal = System.getProperty("keepstone.terminal", "");
    Shell shell =
        new Shell(
            out.stream(),
            err.stream(),
            terminal.contains("1"),
            terminal.contains("2"),
            Integer.getInteger("keepstone.columns", 80),
            System.getenv(),
            Host.local());

    CountDownLatch finished = new CountDownLatch(1);
    Thread worker = Thread.currentThread();
    // The virtual machine ends with 130 by itself; this gives the verb time to leave nothing
    // partial.
    Thread interrupter =
        new Thread(() -> {
          if (finished.getCount() > 0) {
            worker.interrupt();
            await(finished);
          }
        });
    Runtime.getRuntime().addShutdownHook(interrupter);
    int code = run(List.of(args), shell);
    shell.out().flush();
    shell.err().flush();
    finished.countDown();
    System.exit(code == 0 && out.failed() ? ExitCode.FAILED.number : code);
  }

  private static void await(CountDownLatch finished) {
    try {
      finished.await(CLEAN_UP_SECONDS, TimeUnit.SECONDS);
    } catch (InterruptedException _) {
      Thread.currentThread().interrupt();
    }
  }

  /// The whole command in this process.
  ///
  /// @return the exit code
  static int run(List<String> args, Shell shell) {
    Keepstone options = new Keepstone();
    CommandLine top = Commands.of(options);
    try {
      CommandLine chosen = leaf(top.parseArgs(args.toArray(String[]::new)));
      return run(chosen, options, shell);
    } catch (ParameterException e) {
      String command = e.getCommandLine().getCommandSpec().qualifiedName();
      Fault fault = Fault.usage(e, command);
      // What was parsed before the mistake does not tell: the option may stand after it.
      options.json = args.contains("--json");
      options.jsonLines = args.contains("--json-lines");
      options.debug = args.contains("--debug");
      return failed(verb(e.getCommandLine()), fault, e, options, shell);
    }
  }

  private static int run(CommandLine chosen, Keepstone options, Shell shell) {
    String verb = verb(chosen);
    try {
      Console console = new Console(shell, options.form(), !options.noProgress);
      Answer answer;
      if (chosen.isUsageHelpRequested()) {
        answer = Commands.help(chosen, console);
      } else if (options.version) {
        answer = Version.answer(console);
      } else if (chosen.getCommand() instanceof Verb todo) {
        answer = todo.run(console);
      } else if (chosen.getParent() == null) {
        answer = Commands.help(chosen, console);
      } else {
        throw new ParameterException(chosen, "a verb is missing after `" + verb + "`");
      }
      return told(verb, answer, options, shell);
    } catch (ParameterException e) {
      throw e;
    } catch (IOException | InterruptedException | RuntimeException | Error e) {
      Fault fault = Fault.of(e, verb);
      if (fault.code() == ExitCode.FAILED && chosen.getCommand() instanceof Verb todo) {
        fault = fault.as(todo.failed());
      }
      return failed(verb, fault, e, options, shell);
    }
  }

  private static int told(String verb, Answer answer, Keepstone options, Shell shell) {
    KeepstoneException failure = answer.failure();
    Fault fault = failure == null ? null : Fault.of(failure);
    print(document(verb, answer.fields(), fault), fault, options, shell);
    if (fault == null) {
      return answer.code().number;
    }
    tell(fault, failure, options.debug, shell);
    return fault.code().number;
  }

  private static int failed(
      String verb, Fault fault, Throwable cause, Keepstone options, Shell shell) {
    print(document(verb, Json.object().build(), fault), fault, options, shell);
    tell(fault, cause, options.debug, shell);
    return fault.code().number;
  }

  private static void tell(Fault fault, @Nullable Throwable cause, boolean debug, Shell shell) {
    fault.lines().forEach(shell.err()::println);
    if (debug && cause != null) {
      cause.printStackTrace(shell.err());
    }
  }

  private static Json.Obj document(String verb, Json.Obj fields, @Nullable Fault fault) {
    Json.Builder document = Json.object().put("v", 1).put("command", verb).put("ok", fault == null);
    fields.fields().forEach(document::put);
    if (fault != null) {
      document.put("error", fault.json());
    }
    return document.build();
  }

  private static void print(
      Json.Obj document, @Nullable Fault fault, Keepstone options, Shell shell) {
    switch (options.form()) {
      case PEOPLE -> {}
      case DOCUMENT -> {
        JsonWriter.write(document, shell.out()::print);
        shell.out().println();
      }
      case LINES -> {
        if (fault != null) {
          Console.line(shell, "error", fault.json());
        }
        Console.line(shell, "summary", document);
      }
    }
  }

  private static CommandLine leaf(CommandLine.ParseResult parsed) {
    List<CommandLine> path = parsed.asCommandLineList();
    return path.getLast();
  }

  /// `ls`, `agent status`; `keepstone` where there is no verb.
  private static String verb(CommandLine chosen) {
    String name = chosen.getCommandSpec().qualifiedName();
    int space = name.indexOf(' ');
    return space < 0 ? name : name.substring(space + 1);
  }
}
