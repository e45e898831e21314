/// Small benchmarks of one room each, by JMH: [HeaderBench] (reading headers); and what makes their
/// stores: [ManyCheckpoints].
///
/// Start with `bench/run micro` and `bench/run list`. What crosses processes (stall, drain,
/// restore, step time) is measured from Python in `bench/road`, where the peers are. Nothing
/// imports this package.
@NullMarked
package dev.keepstone.bench;

import org.jspecify.annotations.NullMarked;
