package dev.keepstone.cli;

import dev.keepstone.core.bytes.Disk;
import java.io.PrintStream;
import java.time.InstantSource;
import java.util.Map;
import java.util.random.RandomGenerator;

/// What the command finds around it; a test passes its own.
///
/// @param out results; UTF-8
/// @param err progress, warnings and failures; UTF-8
/// @param outTerminal whether a person reads `out`
/// @param errTerminal whether a person reads `err`
/// @param columns width of the terminal, 80 where there is none
/// @param environment the process's variables
/// @param clock wall clock
/// @param random nonces and tokens
/// @param disk every file system act
record Shell(
    PrintStream out,
    PrintStream err,
    boolean outTerminal,
    boolean errTerminal,
    int columns,
    Map<String, String> environment,
    InstantSource clock,
    RandomGenerator random,
    Disk disk) {}
