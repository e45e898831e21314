/// Checkpoint formats, one package each: how a format's bytes become the uniform view, and back.
///
/// Nothing lives here itself. A format knows bytes, tensors and the view; it never sees a store, an
/// agent or another format.
@NullMarked
package dev.keepstone.core.format;

import org.jspecify.annotations.NullMarked;
