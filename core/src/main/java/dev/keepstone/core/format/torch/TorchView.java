package dev.keepstone.core.format.torch;

import dev.keepstone.core.bytes.Crc32;
import dev.keepstone.core.bytes.Disk;
import dev.keepstone.core.bytes.OpenFile;
import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.core.json.Json;
import dev.keepstone.core.pickle.PickledState;
import dev.keepstone.core.pickle.PickledTensor;
import dev.keepstone.core.pickle.PickledTensor.Held;
import dev.keepstone.core.pickle.PickledTensor.Strided;
import dev.keepstone.core.tensor.Slice;
import dev.keepstone.core.view.CheckpointView;
import dev.keepstone.core.view.StoredPiece;
import dev.keepstone.core.view.StoredTensor;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.NoSuchFileException;
import java.nio.file.NotDirectoryException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;

/// One file of `torch.save` as a checkpoint.
public final class TorchView implements CheckpointView {
  /// Views may name the elements of a storage many times over; a small file whose tensors fill a
  /// disk when they are copied is refused.
  private static final long MOST_TIMES_THE_FILE = 64;

  private static final long ALWAYS_ALLOWED_BYTES = 64L << 20;

  private static final long BLOCK_BYTES = 8 << 20;

  private final OpenFile file;
  private final String fileName;
  private final String on;
  private final TorchFile content;
  private final StridedReader reader;
  private final List<StoredTensor> tensors = new ArrayList<>();
  private final Map<StoredTensor, PickledTensor> pickled = new HashMap<>();
  private final Map<String, String> metadata = new LinkedHashMap<>();

  private TorchView(OpenFile file, Path path, TorchFile content) throws IOException {
    this.file = file;
    this.fileName = String.valueOf(path.getFileName());
    this.on = path.toString();
    this.content = content;
    this.reader = new StridedReader(file);
    PickledState state = content.state();
    state.tensors().forEach(this::add);
    requireProportion();
    for (String field : List.of("step", "global_step", "epoch")) {
      if (state.state().get("state") instanceof Json.Obj root
          && root.get(field) instanceof Json.Int(long value)) {
        metadata.put(field, Long.toString(value));
      }
    }
    state.tied().forEach(metadata::putIfAbsent);
  }

  /// Opens a file, told by its content.
  ///
  /// @param strict whether classes beyond those that build data are refused; they become opaque
  ///   objects of the state tree otherwise
  /// @return empty where the path is there and is nothing of this format
  /// @throws KeepstoneException.NotFound where the path is not there
  /// @throws KeepstoneException.Refused where the pickle names what no checkpoint of data needs, or
  ///   a limit is passed
  /// @throws KeepstoneException.Integrity where the structure is broken
  /// @throws KeepstoneException.Unsupported where it is TorchScript
  public static Optional<TorchView> open(Disk disk, Path path, boolean strict) throws IOException {
    boolean folder = isFolder(disk, path);
    OpenFile file;
    try {
      file = disk.open(path);
    } catch (NoSuchFileException e) {
      throw new KeepstoneException.NotFound("no such file", path.toString(), "check the path");
    } catch (IOException e) {
      if (folder) {
        return Optional.empty();
      }
      throw e;
    }
    if (folder) {
      file.close();
      return Optional.empty();
    }
    return of(file, path, strict);
  }

  /// Asked before the first read: most systems open a folder, and none reads it. Where nothing is,
  /// a listing is empty too, and opening tells.
  private static boolean isFolder(Disk disk, Path path) throws IOException {
    try {
      disk.list(path);
      return true;
    } catch (NotDirectoryException e) {
      return false;
    }
  }

  /// @param file closed with the view, or here where there is none
  static Optional<TorchView> of(OpenFile file, Path path, boolean strict) throws IOException {
    try {
      Optional<TorchFile> content = TorchFile.read(file, path.toString(), strict);
      if (content.isEmpty()) {
        file.close();
        return Optional.empty();
      }
      return Optional.of(new TorchView(file, path, content.get()));
    } catch (IOException | RuntimeException e) {
      file.close();
      throw e;
    }
  }

  private void add(PickledTensor tensor) {
    StoredPiece piece =
        new StoredPiece(
            Slice.whole(tensor.tensor().shape()),
            fileName,
            offset(tensor),
            tensor.tensor().byteLength());
    StoredTensor stored = new StoredTensor(tensor.component(), tensor.tensor(), List.of(piece));
    tensors.add(stored);
    pickled.put(stored, tensor);
  }

  private long offset(PickledTensor tensor) {
    return switch (tensor.origin()) {
      case Strided strided ->
          content.storage(strided.storage()).begin() + strided.offset() * strided.elementBytes();
      case Held held -> held.offset();
    };
  }

  private void requireProportion() throws IOException {
    long bytes = 0;
    for (StoredTensor tensor : tensors) {
      bytes = Math.addExact(bytes, Math.min(tensor.tensor().byteLength(), Long.MAX_VALUE >> 20));
    }
    if (bytes - ALWAYS_ALLOWED_BYTES > MOST_TIMES_THE_FILE * Math.min(file.size(), 1L << 50)) {
      throw new KeepstoneException.Refused(
          "tensors of %d bytes in a file of %d".formatted(bytes, file.size()),
          on,
          "look where the file comes from");
    }
  }

  @Override
  public String format() {
    return content.format();
  }

  @Override
  public List<StoredTensor> tensors() {
    return Collections.unmodifiableList(tensors);
  }

  /// Step and epoch where the state has them as numbers, and the names of tied tensors.
  @Override
  public Map<String, String> metadata() {
    return Collections.unmodifiableMap(metadata);
  }

  @Override
  public Optional<Json.Obj> state() {
    return Optional.of(content.state().state());
  }

  @Override
  public Optional<byte[]> config() {
    return Optional.empty();
  }

  /// The checksum of a record that holds this tensor and nothing else. Archives written without
  /// checksums have 0 everywhere.
  @Override
  public OptionalInt crc32(StoredTensor tensor) {
    if (find(tensor).origin() instanceof Strided strided
        && strided.isContiguous()
        && !Turned.isNeeded(strided, content.bigEndian())
        && strided.storage().bytes() == tensor.tensor().byteLength()
        && tensor.tensor().byteLength() > 0) {
      int crc = content.storage(strided.storage()).crc();
      return crc == 0 ? OptionalInt.empty() : OptionalInt.of(crc);
    }
    return OptionalInt.empty();
  }

  private PickledTensor find(StoredTensor tensor) {
    PickledTensor found = pickled.get(tensor);
    if (found == null) {
      throw new IllegalArgumentException("no tensor of this view: " + tensor.tensor().name());
    }
    return found;
  }

  @Override
  public void read(StoredTensor tensor, StoredPiece piece, long offset, MemorySegment into)
      throws IOException {
    if (offset < 0 || offset > piece.bytes() - into.byteSize()) {
      throw new IllegalArgumentException(
          "bytes %d to %d of %s".formatted(offset, offset + into.byteSize(), piece));
    }
    switch (find(tensor).origin()) {
      case Held(byte[] bytes, long _) ->
          MemorySegment.copy(MemorySegment.ofArray(bytes), offset, into, 0, into.byteSize());
      case Strided strided -> {
        long begin = content.storage(strided.storage()).begin();
        if (!Turned.isNeeded(strided, content.bigEndian())) {
          requireAll(reader.read(strided, begin, offset, into), tensor);
          return;
        }
        // Signs and byte order are turned by whole elements.
        long element = strided.elementBytes();
        long from = offset - offset % element;
        long to = Math.ceilDiv(offset + into.byteSize(), element) * element;
        try (Arena arena = Arena.ofConfined()) {
          boolean aligned = from == offset && to == offset + into.byteSize();
          MemorySegment whole = aligned ? into : arena.allocate(to - from, 8);
          requireAll(reader.read(strided, begin, from, whole), tensor);
          Turned.turn(strided, content.bigEndian(), whole);
          if (!aligned) {
            MemorySegment.copy(whole, offset - from, into, 0, into.byteSize());
          }
        }
      }
    }
  }

  private void requireAll(boolean there, StoredTensor tensor) {
    if (!there) {
      throw new KeepstoneException.Integrity(
          "the file has become shorter",
          on + ", tensor " + tensor.tensor().name(),
          "do not write to the file while it is read; take another copy");
    }
  }

  /// A record whose bytes are not those of its checksum.
  ///
  /// @param name of the record
  /// @param offset of its first byte in the file
  public record Damage(String name, long offset, long bytes, int expected, int found) {}

  /// Reads every record and holds it against its checksum.
  ///
  /// @return empty where the archive has no checksums
  public Optional<List<Damage>> damages() throws IOException {
    if (content.checked().stream().allMatch(record -> record.crc() == 0)) {
      return Optional.empty();
    }
    List<Damage> damages = new ArrayList<>();
    try (Arena arena = Arena.ofConfined()) {
      long largest =
          content.checked().stream().mapToLong(ZipDirectory.Entry::bytes).max().orElse(0);
      MemorySegment block = arena.allocate(Math.clamp(largest, 1, BLOCK_BYTES), OpenFile.ALIGNMENT);
      for (ZipDirectory.Entry record : content.checked()) {
        int crc = crc(record, block);
        if (crc != record.crc()) {
          damages.add(new Damage(record.name(), record.begin(), record.bytes(), record.crc(), crc));
        }
      }
    }
    return Optional.of(damages);
  }

  private int crc(ZipDirectory.Entry record, MemorySegment block) throws IOException {
    int crc = 0;
    for (long at = 0; at < record.bytes(); ) {
      MemorySegment part = block.asSlice(0, Math.min(block.byteSize(), record.bytes() - at));
      if (file.read(record.begin() + at, part) < part.byteSize()) {
        throw new KeepstoneException.Integrity(
            "the file has become shorter", on + ", record " + record.name(), "take another copy");
      }
      crc = Crc32.combine(crc, Crc32.of(part), part.byteSize());
      at += part.byteSize();
    }
    return crc;
  }

  @Override
  public void close() throws IOException {
    file.close();
  }
}
