package dev.keepstone.agent.drain;

import dev.keepstone.core.bytes.Crc32;
import dev.keepstone.core.bytes.OpenFile;
import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.segment.file.SealRecord;
import dev.keepstone.segment.file.SegmentFile;
import dev.keepstone.segment.layout.Layout;
import dev.keepstone.segment.layout.LayoutOwner;
import dev.keepstone.segment.layout.ShardPlace;
import dev.keepstone.store.object.Names;
import dev.keepstone.store.part.FileReceipt;
import dev.keepstone.store.part.Part;
import dev.keepstone.store.part.ShardReceipt;
import dev.keepstone.store.part.StateObject;
import dev.keepstone.store.reference.CheckpointId;
import dev.keepstone.store.tier.Put;
import dev.keepstone.store.tier.Tier;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.function.LongConsumer;
import org.jspecify.annotations.Nullable;

/// Writes one sealed generation to a tier: shards and state tree, synced, under names of this
/// agent's nonce (docs/spec/store.md §5, step 1). The part that it returns is not put yet.
public final class Drain {
  private final Tier tier;
  private final Names names;
  private final String nonce;
  private final Pace pace;

  /// @param names of the run
  /// @param nonce of this agent
  public Drain(Tier tier, Names names, String nonce, Pace pace) {
    this.tier = tier;
    this.names = names;
    this.nonce = nonce;
    this.pace = pace;
  }

  /// Drains a slot.
  ///
  /// @param used for each shard what stands in another checkpoint's folder and need not be written,
  ///   or null
  /// @param progress hears how many more bytes of shards are on the disk
  /// @throws KeepstoneException where it failed; [#discard] removes what it left
  /// @throws InterruptedException where the agent ends; files of this nonce stay, for nobody
  public Part write(
      SegmentFile segment,
      SealRecord seal,
      CheckpointId id,
      List<@Nullable ShardReceipt> used,
      LongConsumer progress)
      throws InterruptedException {
    return pace.gentle()
        ? Gently.call(() -> drain(segment, seal, id, used, progress))
        : drain(segment, seal, id, used, progress);
  }

  private Part drain(
      SegmentFile segment,
      SealRecord seal,
      CheckpointId id,
      List<@Nullable ShardReceipt> used,
      LongConsumer progress)
      throws InterruptedException {
    Layout layout = segment.layout();
    LayoutOwner owner = layout.owner();
    StateArea state = StateArea.read(segment, seal);
    List<ShardReceipt> shards = new ArrayList<>();
    try (ShardWriter writer = new ShardWriter(pace)) {
      for (int shard = 0; shard < layout.shards().size(); shard++) {
        ShardReceipt there = used.get(shard);
        if (there == null) {
          shards.add(shard(writer, segment, seal.slot(), shard, id, progress));
        } else {
          shards.add(there);
          progress.accept(there.bytes());
        }
      }
    }
    byte[] tree = new StateObject(owner.uid(), id, owner.rank(), state.tree()).encode();
    FileReceipt stored = put(id, Names.state(owner.rank(), nonce), tree);
    tier.syncDirectory(names.checkpoint(id));
    Part bare =
        new Part(
            owner.uid(),
            id,
            owner.rank(),
            owner.world(),
            nonce,
            state.metrics(),
            shards,
            stored,
            List.of(),
            layout.provenance(),
            Instant.ofEpochSecond(0, seal.sealedAt()),
            seal.stallNanos() / 1e6);
    return Extras.named(bare, layout);
  }

  private ShardReceipt shard(
      ShardWriter writer,
      SegmentFile segment,
      int slot,
      int shard,
      CheckpointId id,
      LongConsumer progress)
      throws InterruptedException {
    ShardPlace place = segment.layout().shards().get(shard);
    String file = name(place, segment.layout().owner().rank());
    String name = names.file(id, file);
    requireHeader(segment, slot, shard, name);
    MemorySegment area = segment.area(slot, shard);
    ShardScan scan = new ShardScan(area, segment.layout(), shard);
    long padded = Math.ceilDiv(place.byteLength(), OpenFile.ALIGNMENT) * OpenFile.ALIGNMENT;
    MemorySegment image = area.asSlice(place.offset(), padded);
    try (OpenFile open = tier.createShard(name)) {
      writer.write(image, place.byteLength(), open, scan, progress);
    } catch (IOException e) {
      throw KeepstoneException.from(e, "write a shard", tier.describe(name));
    }
    return scan.receipt(file);
  }

  private String name(ShardPlace place, int rank) {
    return Names.shard(place.component(), rank, nonce, place.group());
  }

  /// The agent wrote the header, but the trainer can write anywhere in its slot: a header that it
  /// hit would give a file nobody can read, with a checksum that says all is well. Who hit the
  /// header may have hit tensors too, so this generation is refused; for the slot's next one the
  /// header is written anew.
  private void requireHeader(SegmentFile segment, int slot, int shard, String name) {
    byte[] expected = segment.layout().header(shard);
    MemorySegment found = segment.shardImage(slot, shard).asSlice(0, expected.length);
    long at = found.mismatch(MemorySegment.ofArray(expected));
    if (at >= 0) {
      found.copyFrom(MemorySegment.ofArray(expected));
      throw new KeepstoneException.Integrity(
          "the header of the shard was overwritten in shared memory at byte " + at,
          tier.describe(name),
          "look for a stray write in the trainer; the header is repaired for the next save");
    }
  }

  private FileReceipt put(CheckpointId id, String file, byte[] bytes) {
    String name = names.file(id, file);
    return switch (tier.put(name, bytes)) {
      case Put.Committed() -> new FileReceipt(file, bytes.length, Crc32.of(bytes, 0, bytes.length));
      case Put.Lost(byte[] standing) ->
          throw new KeepstoneException.Failed(
              "expected to put " + bytes.length + " bytes, found " + standing.length + " others",
              tier.describe(name),
              "save the next step",
              null);
      case Put.Unknown(String why) ->
          throw new KeepstoneException.OutcomeUnknown(
              "put: " + why, tier.describe(name), "save the next step");
    };
  }

  /// Puts what lets other readers load the checkpoint as it lies: the indexes, which name the
  /// shards of the part that stands, and the configuration. Any number of times.
  ///
  /// @param standing the part under the rank's name, ours or an earlier agent's
  public void putExtras(Part standing, Layout layout) {
    Extras.of(standing, layout).forEach((file, bytes) -> put(standing.id(), file, bytes));
  }

  /// Removes the files of this nonce that a failed or lost attempt left. What cannot be removed
  /// stays for the collection of abandoned attempts.
  public void discard(Layout layout, CheckpointId id) {
    int rank = layout.owner().rank();
    for (ShardPlace shard : layout.shards()) {
      remove(names.file(id, name(shard, rank)));
    }
    remove(names.file(id, Names.state(rank, nonce)));
  }

  private void remove(String name) {
    try {
      tier.delete(name);
    } catch (KeepstoneException e) {
      // A disk that fails writes often fails deletes; the refusal is what matters.
    }
  }
}
