package dev.keepstone.store.shard;

import dev.keepstone.core.bytes.OpenFile;
import dev.keepstone.store.object.Names;
import dev.keepstone.store.part.ShardReceipt;
import dev.keepstone.store.reference.CheckpointId;
import dev.keepstone.store.tier.Tier;
import java.io.IOException;
import org.jspecify.annotations.Nullable;

/// The one shard, its own or a used one, that one reader has open: work comes in the order of
/// shards. For one thread.
public final class ShardFiles implements AutoCloseable {
  private final Tier tier;
  private final Names names;
  private final CheckpointId id;
  private @Nullable String path;
  private @Nullable OpenFile file;

  /// @param names of the run
  /// @param id whose shards
  public ShardFiles(Tier tier, Names names, CheckpointId id) {
    this.tier = tier;
    this.names = names;
    this.id = id;
  }

  /// The file of a shard, open for reading until another one is asked for.
  ///
  /// @throws dev.keepstone.core.failure.KeepstoneException where it cannot be opened
  public OpenFile open(ShardReceipt wanted) {
    OpenFile known = file;
    if (known != null && wanted.path().equals(path)) {
      return known;
    }
    close();
    OpenFile opened = tier.openShard(names.file(wanted.home(id), wanted.file()));
    file = opened;
    path = wanted.path();
    return opened;
  }

  @Override
  public void close() {
    OpenFile last = file;
    file = null;
    if (last != null) {
      try {
        last.close();
      } catch (IOException e) {
        // It was only read, and what was read has been checked.
      }
    }
  }
}
