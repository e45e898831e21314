package dev.keepstone.cli;

import dev.keepstone.Host;
import java.io.PrintStream;
import java.time.InstantSource;
import java.util.Map;

/// What the command finds around it; a test passes its own.
///
/// @param out results; UTF-8
/// @param err progress, warnings and failures; UTF-8
/// @param outTerminal whether a person reads `out`
/// @param errTerminal whether a person reads `err`
/// @param columns width of the terminal, 80 where there is none
/// @param environment the process's variables
/// @param host disk, clock and chance
record Shell(
    PrintStream out,
    PrintStream err,
    boolean outTerminal,
    boolean errTerminal,
    int columns,
    Map<String, String> environment,
    Host host) {
  InstantSource clock() {
    return host.clock();
  }
}
