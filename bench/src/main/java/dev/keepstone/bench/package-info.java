/// Small benchmarks of one room each, by JMH: [HeaderBench] (reading headers).
///
/// Start with `bench/run micro`. What crosses processes (stall, drain, restore, step time) is
/// measured from Python in `bench/road`, where the peers are. Nothing imports this package.
@NullMarked
package dev.keepstone.bench;

import org.jspecify.annotations.NullMarked;
