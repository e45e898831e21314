package dev.keepstone.cli;

import picocli.CommandLine.Command;

/// The group of verbs about this node's agent.
@Command(
    name = "agent",
    header = "Start, stop and look at this node's agent.",
    synopsisSubcommandLabel = "VERB",
    commandListHeading = "%nVerbs:%n",
    footer = {
      "",
      "Examples:",
      "  keepstone agent start --budget 8GiB",
      "  keepstone agent status --json"
    },
    subcommands = {
      AgentStart.class,
      AgentStatus.class,
      AgentStop.class,
      AgentLogs.class,
      AgentMetrics.class,
      AgentFree.class
    })
final class Agent {}
