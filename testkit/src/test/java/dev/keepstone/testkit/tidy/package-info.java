/// The rules of the house that a test can hold: sizes, directions between rooms, banned calls,
/// signs, links, format.
///
/// Start at [Checkout], which reads the sources of every module once; each test is one family of
/// rules and says where a rule is broken and what to do. Run them alone with `mvn test -pl testkit
/// -am -Dtest='dev.keepstone.testkit.tidy.*' -Dsurefire.failIfNoSpecifiedTests=false`;
/// `-Dtidy.fix=true` rewrites what the formatter would write otherwise. Imports nothing of
/// Keepstone: it reads it.
@NullMarked
package dev.keepstone.testkit.tidy;

import org.jspecify.annotations.NullMarked;
