/// Where an agent lives on its node: [AgentDirectory] and the names in it, docs/spec/segment.md
/// section 1.
///
/// Called by the agent, the command and `dev.keepstone.client`. Imports `core` alone.
@NullMarked
package dev.keepstone.segment.place;

import org.jspecify.annotations.NullMarked;
