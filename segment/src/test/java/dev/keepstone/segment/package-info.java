/// What tests of several segment rooms share.
@NullMarked
package dev.keepstone.segment;

import org.jspecify.annotations.NullMarked;
