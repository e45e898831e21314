/// JSON as a small closed set of values: [Json] is the tree, [JsonReader] reads it strictly,
/// [JsonWriter] writes it compactly and always the same way.
///
/// For documents that fit memory (manifests, parts, layouts, frames, `--json`). Headers of
/// safetensors files are read as a token stream in their own package instead. Duplicate keys,
/// trailing text, NaN and nesting beyond a limit are refused. Imports the tokenizer library and
/// nothing of Keepstone.
@NullMarked
package dev.keepstone.core.json;

import org.jspecify.annotations.NullMarked;
