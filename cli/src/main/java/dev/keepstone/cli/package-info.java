/// The command `keepstone`: one file per verb, named after it.
///
/// Start at [Main], which parses, runs one [Verb] and turns its [Answer] or failure into output and
/// an [ExitCode]; a verb talks to people through its [Console] alone. What stands outside the
/// process (streams, terminal, clock, chance, disk) comes in as a [Shell]. Verbs are thin: what
/// they do lives in store, core and agent. Called by `./keepstone` only; nothing may import this.
@NullMarked
package dev.keepstone.cli;

import org.jspecify.annotations.NullMarked;
