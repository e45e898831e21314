package dev.keepstone.segment.wire;

import dev.keepstone.core.json.Json;
import dev.keepstone.core.tensor.Slice;
import dev.keepstone.core.tensor.Tensor;
import dev.keepstone.segment.place.Outlives;
import java.util.List;
import org.jspecify.annotations.Nullable;

/// What the agent answers when it can do what was asked; else the answer is a [WireError] frame.
public sealed interface Answer {
  /// Nothing to say but yes.
  record Ok() implements Answer {}

  /// @param nonce of this start of the agent
  /// @param budget bytes for all segments
  /// @param outlives whose end the agent survives
  record Hello(String nonce, long pid, String version, long budget, Outlives outlives)
      implements Answer {}

  /// @param start the start joined
  /// @param parent null for a fresh start
  /// @param step the parent's, null for a fresh start
  /// @param hasCheckpoints whether the run had any visible one
  /// @param skipped checkpoints passed over
  /// @param by nonce of the agent that announced the start; null where that is not known
  record Start(
      String uid,
      int start,
      @Nullable String parent,
      @Nullable Long step,
      boolean hasCheckpoints,
      List<Skipped> skipped,
      @Nullable String by)
      implements Answer {
    public Start {
      skipped = List.copyOf(skipped);
    }
  }

  /// A checkpoint that was not chosen, and why.
  record Skipped(String id, String why) {}

  /// What a checkpoint holds.
  ///
  /// @param world ranks that saved it
  /// @param rank whose state tree this is
  /// @param tensors each once, in order of first appearance over the parts
  /// @param state the state tree, without holes
  /// @param others where another number of ranks asks, the `keepstone` subtree of each saved rank,
  ///   by rank; else empty
  record Open(
      String id,
      long step,
      int world,
      Json.Obj metrics,
      int rank,
      List<OpenedTensor> tensors,
      Json.Obj state,
      List<Json> others)
      implements Answer {
    public Open {
      tensors = List.copyOf(tensors);
      others = List.copyOf(others);
    }
  }

  /// A tensor of a checkpoint.
  record OpenedTensor(String component, Tensor tensor) {}

  /// All that a client needs to place the bytes that it wants.
  ///
  /// @param sources places in memory
  /// @param pieces the saved pieces that touch what is wanted
  /// @param total bytes of the stream of all pieces that have no source
  /// @param window through which the stream comes; null where there is none
  record Want(List<Source> sources, List<SavedPiece> pieces, long total, @Nullable Window window)
      implements Answer {
    public Want {
      sources = List.copyOf(sources);
      pieces = List.copyOf(pieces);
    }
  }

  /// A sealed generation on this node.
  ///
  /// @param segment the file to map read-only
  /// @param slotAt offset of the slot in it
  record Source(String segment, long slotAt) {}

  /// A piece as it was saved.
  ///
  /// @param tensor its index in the answer to `open`
  /// @param source where it lies, as an index; null: its bytes come by the stream
  /// @param at its offset from the start of the slot, or its position in the stream
  record SavedPiece(int tensor, Slice slice, long byteLength, @Nullable Integer source, long at) {
    /// Where it ends.
    public long end() {
      return at + byteLength;
    }
  }

  /// A file of shared memory into which the agent puts checked bytes.
  ///
  /// @param byteLength of the file
  /// @param chunk bytes at most of one chunk
  record Window(String file, long byteLength, long chunk) {}

  /// @param end whether this was the last
  record Next(List<Chunk> chunks, boolean end) implements Answer {
    public Next {
      chunks = List.copyOf(chunks);
    }
  }

  /// Stream bytes `[at, at + byteLength)` lie at `in` of the window.
  record Chunk(long at, long byteLength, long in) {}

  /// @param layout counts this client's layouts
  /// @param segment the file to map
  /// @param constantOffset of the constant area in the file
  /// @param at per piece, from the start of a slot; of a frozen piece from that of the constant
  ///   area
  /// @param byteLength sum over shards
  /// @param free bytes that the store's file system has
  /// @param retained checkpoints that the policy keeps
  record Register(
      int layout,
      String segment,
      long fileBytes,
      int slots,
      long slotOffset,
      long slotStride,
      long stateCapacity,
      long constantOffset,
      List<Long> at,
      long byteLength,
      long free,
      long retained)
      implements Answer {
    public Register {
      at = List.copyOf(at);
    }
  }

  /// @param due the step to save, or 0 for none
  /// @param needsMs how long it takes from now until that is durable, as far as can be told
  /// @param graceMs how long the rank that was signalled has, where one was
  record Preempt(long due, @Nullable Double needsMs, @Nullable Long graceMs) implements Answer {}

  /// The checkpoint about which something was written down.
  record Report(String id) implements Answer {}

  /// The slot that is lent, and for which generation.
  record Lend(int slot, long generation) implements Answer {}

  /// @param id of the attempt
  /// @param ended attempts ended since the last answer of this kind
  /// @param replan whether registering anew would save writing what does not change
  record Sealed(String id, List<Ended> ended, boolean replan) implements Answer {
    public Sealed {
      ended = List.copyOf(ended);
    }
  }

  /// @param ended those asked for
  record Wait(List<Ended> ended) implements Answer {
    public Wait {
      ended = List.copyOf(ended);
    }
  }

  /// What the agent does, for people ([RunStatus], [SegmentStatus]).
  ///
  /// @param budget bytes for all segments
  /// @param used bytes of all segments
  /// @param resident bytes of memory that the agent has beyond them
  /// @param free bytes that another segment may have now
  /// @param segments what lies in shared memory
  record Status(
      long pid,
      String socket,
      Outlives outlives,
      long budget,
      long used,
      long resident,
      long free,
      List<RunStatus> runs,
      List<SegmentStatus> segments)
      implements Answer {
    public Status {
      runs = List.copyOf(runs);
      segments = List.copyOf(segments);
    }
  }

  /// The agent's figures in the text format of Prometheus.
  record Metrics(String text) implements Answer {}

  /// @param freed bytes of segments that are gone
  /// @param kept segments of dead trainers that hold what is not durable yet
  record Free(long freed, int kept) implements Answer {}
}
