package dev.keepstone.client;

import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.segment.file.SegmentFile;
import dev.keepstone.segment.layout.PiecePlace;
import java.lang.foreign.MemorySegment;
import java.util.List;

/// The mapped segment of one registration: where the sources are copied to.
///
/// @param registration what was registered
/// @param number of the layout, counted by the agent
/// @param segment mapped and faulted in
record Capture(Registration registration, int number, SegmentFile segment) {
  // The JVM cannot stop for a collection while one copy runs.
  private static final long STRIDE_BYTES = 8L << 20;

  /// Maps the segment that the agent made, proves that it is the one asked for, and copies into it
  /// what will not change.
  static Capture open(Registration registration, int number, SegmentFile segment) {
    List<PiecePlace> places = segment.layout().pieces();
    List<Source> sources = registration.sources();
    boolean same = places.size() == sources.size();
    for (int i = 0; same && i < places.size(); i++) {
      same = places.get(i).piece().equals(sources.get(i).piece());
    }
    if (!same) {
      segment.close();
      throw new KeepstoneException.Integrity(
          "the segment holds another layout than the one registered",
          segment.path().toString(),
          "restart the agent");
    }
    segment.populate();
    Capture capture = new Capture(registration, number, segment);
    capture.copy(segment.constants(), true);
    return capture;
  }

  /// Copies every source that may change into its place in a slot.
  ///
  /// @throws KeepstoneException.Refused where a source is no longer as registered
  void copyTo(int slot) {
    copy(segment.slot(slot), false);
  }

  private void copy(MemorySegment target, boolean constant) {
    List<PiecePlace> places = segment.layout().pieces();
    for (int i = 0; i < places.size(); i++) {
      if (segment.layout().isConstant(places.get(i)) == constant) {
        copy(registration.sources().get(i).take(), target, places.get(i).at());
      }
    }
  }

  static void copy(MemorySegment source, MemorySegment target, long at) {
    long byteLength = source.byteSize();
    for (long done = 0; done < byteLength; done += STRIDE_BYTES) {
      MemorySegment.copy(
          source, done, target, at + done, Math.min(STRIDE_BYTES, byteLength - done));
    }
  }
}
