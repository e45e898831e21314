package dev.keepstone.cli;

/// Where a verb says things: results to stdout, everything else to stderr.
///
/// With `--json` the results for people are left out: stdout has one document and nothing else.
/// Nothing here ever writes a colour or a cursor movement but the carriage return of [Progress].
final class Console {
  private final Shell shell;
  private final boolean json;
  private final boolean showProgress;

  Console(Shell shell, boolean json, boolean showProgress) {
    this.shell = shell;
    this.json = json;
    this.showProgress = showProgress;
  }

  Shell shell() {
    return shell;
  }

  /// Whether the answer will be printed as JSON, so that nobody reads what [#say] says.
  boolean json() {
    return json;
  }

  /// How wide a line may be.
  int columns() {
    return shell.outTerminal() ? shell.columns() : Commands.WIDTH;
  }

  /// One line of the result, for people.
  void say(String line) {
    if (!json) {
      shell.out().println(line);
    }
  }

  /// One line that is not the result: a warning or a hint.
  void note(String line) {
    shell.err().println(line);
  }

  /// Asks a person to agree. Where none is there to answer, nobody does.
  boolean confirm(String question) {
    java.io.Console terminal = System.console();
    if (json || !shell.errTerminal() || terminal == null || !terminal.isTerminal()) {
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
    Progress.Form form =
        !showProgress
            ? Progress.Form.SILENT
            : shell.errTerminal() ? Progress.Form.LINE : Progress.Form.PLAIN;
    return new Progress(shell.err(), form, shell.columns(), shell.clock(), doing);
  }
}
