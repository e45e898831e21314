package dev.keepstone.cli;

import dev.keepstone.core.json.Json;
import dev.keepstone.core.json.JsonWriter;

/// Where a verb says things: results to stdout, everything else to stderr.
///
/// With `--json` and `--json-lines` the results for people are left out: stdout has one document
/// and nothing else. Nothing here ever writes a colour or a cursor movement but the carriage return
/// of [Progress].
final class Console {
  /// What stdout has.
  enum Form {
    /// Results for people.
    PEOPLE,
    /// One JSON document.
    DOCUMENT,
    /// A JSON object a line: progress and warnings as they come, the document as the last.
    LINES
  }

  private final Shell shell;
  private final Form form;
  private final boolean showProgress;

  Console(Shell shell, Form form, boolean showProgress) {
    this.shell = shell;
    this.form = form;
    this.showProgress = showProgress;
  }

  Shell shell() {
    return shell;
  }

  /// Whether the answer will be printed as JSON, so that nobody reads what [#say] says.
  boolean json() {
    return form != Form.PEOPLE;
  }

  /// How wide a line may be.
  int columns() {
    return shell.outTerminal() ? shell.columns() : Commands.WIDTH;
  }

  /// One line of the result, for people.
  void say(String line) {
    if (!json()) {
      shell.out().println(line);
    }
  }

  /// One line that is not the result: a warning or a hint.
  void note(String line) {
    if (form == Form.LINES) {
      line(shell, "warning", Json.object().put("what", line).build());
    } else {
      shell.err().println(line);
    }
  }

  /// Tells of an event as it comes, where lines are asked for.
  ///
  /// @return false where it belongs into the document
  boolean event(Json.Obj fields) {
    if (form == Form.LINES) {
      line(shell, "event", fields);
    }
    return form == Form.LINES;
  }

  /// One line of [Form#LINES].
  static void line(Shell shell, String type, Json.Obj fields) {
    JsonWriter.write(typed(type, fields), shell.out()::print);
    shell.out().println();
  }

  static String jsonLine(String type, Json.Obj fields) {
    return JsonWriter.compact(typed(type, fields));
  }

  private static Json.Obj typed(String type, Json.Obj fields) {
    Json.Builder line = Json.object().put("v", 1).put("type", type);
    fields
        .fields()
        .forEach((name, value) -> {
          if (!name.equals("v")) {
            line.put(name, value);
          }
        });
    return line.build();
  }

  /// Asks a person to agree. Where none is there to answer, nobody does.
  boolean confirm(String question) {
    java.io.Console terminal = System.console();
    if (json() || !shell.errTerminal() || terminal == null || !terminal.isTerminal()) {
      return false;
    }
    shell.err().print(question + " [y/N] ");
    shell.err().flush();
    String answer = terminal.readLine();
    return answer != null && answer.strip().matches("(?i)y(es)?");
  }

  /// A long job begins.
  ///
  /// @param doing the job in a word or two, as in `verifying`
  Progress progress(String doing) {
    if (form == Form.LINES && showProgress) {
      return new Progress(shell.out(), Progress.Form.JSON, shell.columns(), shell.clock(), doing);
    }
    Progress.Form shown =
        !showProgress
            ? Progress.Form.SILENT
            : shell.errTerminal() ? Progress.Form.LINE : Progress.Form.PLAIN;
    return new Progress(shell.err(), shown, shell.columns(), shell.clock(), doing);
  }
}
