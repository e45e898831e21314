package dev.keepstone.core.format.safetensors;

import dev.keepstone.core.bytes.Disk;
import dev.keepstone.core.bytes.OpenFile;
import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.core.json.Json;
import dev.keepstone.core.json.JsonException;
import dev.keepstone.core.json.JsonReader;
import dev.keepstone.core.tensor.Slice;
import dev.keepstone.core.tensor.Tensor;
import dev.keepstone.core.view.CheckpointView;
import dev.keepstone.core.view.StoredPiece;
import dev.keepstone.core.view.StoredTensor;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/// One safetensors file, or a set with its index, as a checkpoint.
///
/// The files stay open from the check of their headers to the close, so that nobody swaps one in
/// between. The format has no checksums; bytes come as they lie.
public final class SafetensorsView implements CheckpointView {
  private static final long MAX_CONFIG_BYTES = 1 << 20;

  private final Map<String, OpenFile> files = new LinkedHashMap<>();
  private final List<StoredTensor> tensors = new ArrayList<>();
  private final Map<String, String> metadata = new LinkedHashMap<>();
  private final Path folder;
  private byte @Nullable [] config;

  private SafetensorsView(Path folder) {
    this.folder = folder;
  }

  /// Opens a file, a folder or an index, told apart by content.
  ///
  /// @return empty where the path is there and holds nothing of this format
  /// @throws KeepstoneException.NotFound where the path, or a file of the set, is not there
  /// @throws KeepstoneException.Refused where a folder holds several checkpoints
  /// @throws KeepstoneException.Integrity where a header, the index, or what they say of each other
  ///   is broken
  public static Optional<SafetensorsView> open(Disk disk, Path path) throws IOException {
    Optional<SafetensorsFolder.Found> found;
    try {
      found = SafetensorsFolder.find(disk, path);
    } catch (NoSuchFileException e) {
      throw new KeepstoneException.NotFound("no such file", path.toString(), "check the path");
    }
    if (found.isEmpty()) {
      return Optional.empty();
    }
    SafetensorsView view = new SafetensorsView(found.get().folder());
    try {
      for (String file : found.get().files()) {
        view.add(disk, file, found.get().index().orElse(null));
      }
      found.get().index().ifPresent(view::checkAllFound);
      view.config = view.readConfig(disk);
      return Optional.of(view);
    } catch (IOException | RuntimeException e) {
      view.close();
      throw e;
    }
  }

  private void add(Disk disk, String name, @Nullable SafetensorsIndex index) throws IOException {
    OpenFile file;
    try {
      file = disk.open(folder.resolve(name));
    } catch (NoSuchFileException e) {
      throw new KeepstoneException.NotFound(
          "the index names a file that is not there", describe(name), "fetch the missing file");
    }
    files.put(name, file);
    SafetensorsHeader header = SafetensorsReader.read(file, describe(name));
    List<Tensor> trueTensors = header.tensors();
    for (int i = 0; i < trueTensors.size(); i++) {
      SafetensorsHeader.Entry entry = header.entries().get(i);
      if (index != null) {
        checkMapped(entry.name(), index.weightMap().get(entry.name()), name);
      }
      StoredPiece piece =
          new StoredPiece(
              Slice.whole(trueTensors.get(i).shape()),
              name,
              header.dataStart() + entry.begin(),
              entry.end() - entry.begin());
      tensors.add(new StoredTensor("", trueTensors.get(i), List.of(piece)));
    }
    header.metadata().forEach(metadata::putIfAbsent);
    metadata.remove(TrueDtypes.KEY);
  }

  /// The configuration beside the tensors; what is too long or no JSON object is none.
  private byte @Nullable [] readConfig(Disk disk) throws IOException {
    try (OpenFile file = disk.open(folder.resolve("config.json"))) {
      if (file.size() > MAX_CONFIG_BYTES) {
        return null;
      }
      byte[] bytes = new byte[(int) file.size()];
      file.read(0, MemorySegment.ofArray(bytes));
      JsonReader.readObject(bytes);
      return bytes;
    } catch (NoSuchFileException | JsonException e) {
      return null;
    }
  }

  private void checkMapped(String tensor, @Nullable String mapped, String file) {
    if (!file.equals(mapped)) {
      throw setBroken(
          mapped == null
              ? "the index does not know it"
              : "the index has it in " + Quoted.text(mapped) + " instead",
          describe(file),
          tensor);
    }
  }

  private void checkAllFound(SafetensorsIndex index) {
    if (tensors.size() == index.weightMap().size()) {
      return;
    }
    Map<String, String> missing = new HashMap<>(index.weightMap());
    tensors.forEach(tensor -> missing.remove(tensor.tensor().name()));
    String tensor = Collections.min(missing.keySet());
    throw setBroken(
        "the index has it in this file, which lacks it (%d such)".formatted(missing.size()),
        describe(String.valueOf(missing.get(tensor))),
        tensor);
  }

  private static KeepstoneException setBroken(String what, String file, String tensor) {
    return new KeepstoneException.Integrity(
        "index and files disagree: " + what,
        file + ", tensor " + Quoted.text(tensor),
        "fetch index and files of one save; files of an earlier one may lie among them");
  }

  private String describe(String file) {
    return folder.resolve(file).toString();
  }

  @Override
  public String format() {
    return "safetensors";
  }

  @Override
  public List<StoredTensor> tensors() {
    return Collections.unmodifiableList(tensors);
  }

  @Override
  public Map<String, String> metadata() {
    return Collections.unmodifiableMap(metadata);
  }

  @Override
  public Optional<Json.Obj> state() {
    return Optional.empty();
  }

  @Override
  public Optional<byte[]> config() {
    return Optional.ofNullable(config);
  }

  @Override
  public void read(StoredTensor tensor, StoredPiece piece, long offset, MemorySegment into)
      throws IOException {
    OpenFile file = files.get(piece.file());
    if (file == null || offset < 0 || offset > piece.bytes() - into.byteSize()) {
      throw new IllegalArgumentException(
          "bytes %d to %d of %s".formatted(offset, offset + into.byteSize(), piece));
    }
    long count = file.read(piece.fileOffset() + offset, into);
    if (count < into.byteSize()) {
      throw new KeepstoneException.Integrity(
          "the file has become shorter: expected %d bytes, found %d"
              .formatted(into.byteSize(), count),
          "%s, byte %d, tensor %s"
              .formatted(
                  describe(piece.file()),
                  piece.fileOffset() + offset,
                  Quoted.text(tensor.tensor().name())),
          "do not write to the file while it is read; take another copy");
    }
  }

  @Override
  public void close() throws IOException {
    IOException failure = null;
    for (OpenFile file : files.values()) {
      try {
        file.close();
      } catch (IOException e) {
        failure = e;
      }
    }
    files.clear();
    if (failure != null) {
      throw failure;
    }
  }
}
