package dev.keepstone.store.run;

import dev.keepstone.store.manifest.Manifest;
import dev.keepstone.store.reference.CheckpointId;
import java.util.List;
import java.util.NavigableMap;

/// What one look at the manifests of a run saw.
///
/// @param summaries by id
/// @param damaged manifests that cannot be trusted
record ManifestsSeen(
    NavigableMap<CheckpointId, Manifest.Summary> summaries, List<Damaged> damaged) {}
