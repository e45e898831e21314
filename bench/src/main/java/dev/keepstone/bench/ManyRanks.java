package dev.keepstone.bench;

import dev.keepstone.core.bytes.Disk;
import dev.keepstone.core.bytes.Granules;
import dev.keepstone.core.health.Health;
import dev.keepstone.core.json.Json;
import dev.keepstone.core.tensor.Dtype;
import dev.keepstone.core.tensor.Piece;
import dev.keepstone.core.tensor.Shape;
import dev.keepstone.core.tensor.Slice;
import dev.keepstone.core.tensor.Tensor;
import dev.keepstone.store.commit.Commit;
import dev.keepstone.store.commit.Published;
import dev.keepstone.store.object.Names;
import dev.keepstone.store.object.Start.Wanted;
import dev.keepstone.store.part.FileReceipt;
import dev.keepstone.store.part.Part;
import dev.keepstone.store.part.PieceReceipt;
import dev.keepstone.store.part.ShardReceipt;
import dev.keepstone.store.part.StateObject;
import dev.keepstone.store.reference.CheckpointId;
import dev.keepstone.store.run.Run;
import dev.keepstone.store.run.StoreRoot;
import dev.keepstone.store.start.Attendance;
import dev.keepstone.store.start.Starts;
import dev.keepstone.store.tier.LocalTier;
import dev.keepstone.store.tier.StoreClock;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.time.InstantSource;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Random;

/// What a commit of many ranks costs beside their bytes: objects, requests and seconds, of all
/// agents together, in one process. Shards are told and not written.
///
/// As agents do it: each looks for a refusal before it drains, puts a state tree and a part for
/// each of its ranks, and then the first looks at the folder while the others look at two names.
/// The parts come over about four seconds of theirs, so that is sixteen looks each.
///
/// Arguments: the store's folder and numbers of ranks. Writes a table.
final class ManyRanks {
  private static final String NONCE = "7c1e02aa";
  private static final int TENSORS = 300;
  private static final int LOCAL = 8;
  private static final int LOOKS = 16;
  private static final int ROUNDS = 3;
  private static final Health HEALTH = new Health(0, -1.5, 2.0, 2.5);

  private final CountedTier tier;
  private final Run run;
  private final int world;

  private ManyRanks(CountedTier tier, Run run, int world) {
    this.tier = tier;
    this.run = run;
    this.world = world;
  }

  public static void main(String[] args) {
    System.out.println(
        "| ranks | objects | requests | a rank | names listed a rank | MB read | s of all agents |"
            + " ms a rank | s from the last part to the manifest |");
    System.out.println("| --- | --- | --- | --- | --- | --- | --- | --- | --- |");
    StoreClock clock = StoreClock.of(InstantSource.system(), System::nanoTime, pause -> {});
    for (String count : Arrays.asList(args).subList(1, args.length)) {
      Path root = Path.of(args[0], "ranks-" + count);
      CountedTier tier =
          new CountedTier(new LocalTier(Disk.local(), root, clock, NONCE, Duration.ZERO));
      Run run = StoreRoot.openOrMake(tier, clock).runOrMake("run", clock, new Random(1));
      int world = Integer.parseInt(count);
      Starts starts = new Starts(run, clock, Starts.Check.none(), NONCE);
      starts.decide(starts.join("bench", world, Wanted.LATEST));
      for (int rank = 0; rank < world; rank++) {
        new Attendance(run, "bench").announce(rank, world, "node" + rank / LOCAL, NONCE);
      }
      ManyRanks ranks = new ManyRanks(tier, run, world);
      ranks.commit(new CheckpointId(1, 1));
      for (int round = 1; round <= ROUNDS; round++) {
        System.out.println(ranks.commit(new CheckpointId(1, 1 + round)));
      }
    }
  }

  /// One commit, and its row.
  private String commit(CheckpointId id) {
    List<Part> parts = new ArrayList<>();
    for (int rank = 0; rank < world; rank++) {
      parts.add(part(id, rank));
    }
    tier.reset();
    int agents = Math.ceilDiv(world, LOCAL);
    Commit commit = new Commit(run);
    long begun = System.nanoTime();
    int looked = 0;
    for (int rank = 0; rank < world; rank++) {
      commit.refusal(id);
      run.part(id, rank);
      tier.put(run.names().file(id, Names.state(rank, NONCE)), state(id, rank));
      tier.syncDirectory(run.names().checkpoint(id));
      commit.putPart(parts.get(rank));
      while (looked < LOOKS && (long) looked * world < (long) LOOKS * rank) {
        looked++;
        commit.publish(id, world);
        for (int agent = 1; agent < agents; agent++) {
          commit.ended(id);
        }
      }
    }
    long last = System.nanoTime();
    Published published = commit.publish(id, world);
    long manifest = System.nanoTime();
    if (!(published instanceof Published.Committed)) {
      throw new IllegalStateException(published.toString());
    }
    for (int agent = 1; agent < agents; agent++) {
      commit.ended(id);
    }
    double seconds = (System.nanoTime() - begun) / 1e9;
    return String.format(
        Locale.ROOT,
        "| %d | %d | %d | %.1f | %.1f | %.1f | %.2f | %.2f | %.2f |",
        world,
        2 * world + 1,
        tier.requests(),
        (double) tier.requests() / world,
        (double) tier.listed / world,
        tier.readBytes / 1e6,
        seconds,
        seconds * 1e3 / world,
        (manifest - last) / 1e9);
  }

  private byte[] state(CheckpointId id, int rank) {
    Json.Obj tree = Json.object().put("state", id.step()).build();
    return new StateObject(run.uid(), id, rank, tree).encode();
  }

  /// Rows of every tensor, and their receipts.
  private Part part(CheckpointId id, int rank) {
    List<PieceReceipt> pieces = new ArrayList<>();
    long header = 4096L * 16;
    long at = header;
    for (int tensor = 0; tensor < TENSORS; tensor++) {
      Piece piece =
          new Piece(
              new Tensor(
                  "transformer.layers." + tensor + ".weight", Dtype.F32, Shape.of(world * 4L, 256)),
              new Slice(List.of(rank * 4L, 0L), Shape.of(4, 256)));
      pieces.add(new PieceReceipt(piece, at, Granules.hex(new int[] {tensor}), HEALTH));
      at += piece.byteLength();
    }
    ShardReceipt shard =
        new ShardReceipt(
            Names.shard("model", rank, NONCE), "model", at, header, 1, 2, world == 1, pieces);
    byte[] state = state(id, rank);
    return new Part(
        run.uid(),
        id,
        rank,
        world,
        NONCE,
        Json.object().put("loss", 2.5).build(),
        List.of(shard),
        new FileReceipt(Names.state(rank, NONCE), state.length, 3),
        List.of(),
        Json.object().put("agent", "bench").build(),
        Instant.parse("2026-11-24T07:32:00Z"),
        4.1);
  }
}
