/// The quickstart's trainer: a small transformer language model on libtorch, in a process of its
/// own.
///
/// Lives here: a model, AdamW and a data order such as any training script has, and the few lines
/// that hand its state to Keepstone. Start with [dev.keepstone.demo.TrainerMain]; `Training` is the
/// trainer without Keepstone. Called by: the command `keepstone quickstart`, as a process, and by
/// people, who may start it by hand. May not be imported by any other room; imports core, the
/// client, and the two rooms the client speaks in (`segment.place`, `segment.wire`): it stands
/// where a user's program stands.
@NullMarked
package dev.keepstone.demo;

import org.jspecify.annotations.NullMarked;
