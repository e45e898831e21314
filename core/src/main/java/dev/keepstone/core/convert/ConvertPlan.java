package dev.keepstone.core.convert;

import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.core.format.safetensors.SafetensorsEncoder;
import dev.keepstone.core.format.safetensors.SafetensorsIndex;
import dev.keepstone.core.view.StoredTensor;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/// What a conversion is going to write, as data: each file with its tensors, in file order. A
/// tensor keeps name, dtype and shape; its bytes are copied.
///
/// @param folder whether the files go into a folder of the target's name; otherwise there is one
///   file, which is the target
/// @param files tensor files
/// @param extras small files beside them, published last; the index of a set is the last of all
/// @param unused tensors of the source that the selection leaves out
public record ConvertPlan(
    boolean folder, List<TensorFile> files, List<SmallFile> extras, List<String> unused) {
  /// Where a set is cut unless one says otherwise, in bytes of tensors per file.
  public static final long DEFAULT_MAX_SHARD_BYTES = 5_000_000_000L;

  /// Shares of tensors in one plan.
  private static final long MAX_SHARES = 4_000_000;

  public ConvertPlan {
    files = List.copyOf(files);
    extras = List.copyOf(extras);
    unused = List.copyOf(unused);
  }

  /// A file of tensors.
  ///
  /// @param name in the folder, or in a folder of it: `rank-00000/model.safetensors`
  /// @param shares in file order
  public record TensorFile(String name, List<Share> shares) {
    public TensorFile {
      shares = List.copyOf(shares);
    }
  }

  /// A file whose bytes are known already.
  public record SmallFile(String name, byte[] content) {}

  /// What is asked for.
  ///
  /// @param folder a folder even for a single file
  /// @param maxShardBytes tensor bytes per file; a larger tensor has a file of its own
  /// @param beside what goes into the folder besides, such as the model's configuration
  public record Wish(
      Selection selection, boolean folder, long maxShardBytes, List<SmallFile> beside) {
    public Wish {
      beside = List.copyOf(beside);
    }
  }

  /// Tensor bytes of all files.
  public long tensorBytes() {
    return files.stream().mapToLong(ConvertPlan::tensorBytes).sum();
  }

  /// Plans a safetensors file, or a folder with one file or a set and its index.
  ///
  /// A set is cut in the order of the source; inside each file tensors lie as the reference writer
  /// lays them.
  ///
  /// @param source tensors of one component
  /// @throws KeepstoneException.Refused where a pattern takes nothing, or one file is asked for and
  ///   the tensors are too many
  public static ConvertPlan toSafetensors(List<StoredTensor> source, Wish wish) {
    return toSafetensors(source.stream().map(Share::whole).toList(), wish, "", "model");
  }

  /// A folder of several of them, side by side.
  ///
  /// @param components what each holds, by the name with which its files begin
  /// @param beside other files of the folder
  public static ConvertPlan toFolder(
      Map<String, List<StoredTensor>> components, long maxShardBytes, List<SmallFile> beside) {
    Map<String, List<Share>> whole = new LinkedHashMap<>();
    components.forEach(
        (name, tensors) -> whole.put(name, tensors.stream().map(Share::whole).toList()));
    return toFolder(whole, maxShardBytes, beside, "");
  }

  /// A folder of folders, one for each rank with its share of every tensor.
  ///
  /// @param components as for one folder
  /// @param beside other files, of the folder and of the folders in it
  /// @throws KeepstoneException.Refused where that makes too many shares
  public static ConvertPlan toRanks(
      Map<String, List<StoredTensor>> components,
      int ranks,
      long maxShardBytes,
      List<SmallFile> beside) {
    long shares =
        Math.multiplyExact(ranks, components.values().stream().mapToLong(List::size).sum());
    if (shares > MAX_SHARES) {
      throw new KeepstoneException.Refused(
          "expected at most " + MAX_SHARES + " shares of tensors, found " + shares,
          ranks + " ranks",
          "take fewer ranks");
    }
    List<TensorFile> files = new ArrayList<>();
    List<SmallFile> extras = new ArrayList<>();
    for (int r = 0; r < ranks; r++) {
      int rank = r;
      Map<String, List<Share>> mine = new LinkedHashMap<>();
      components.forEach((name, tensors) ->
          mine.put(name, tensors.stream().map(tensor -> Share.of(tensor, rank, ranks)).toList()));
      ConvertPlan one = toFolder(mine, maxShardBytes, List.of(), rankFolder(rank) + "/");
      files.addAll(one.files());
      extras.addAll(one.extras());
    }
    extras.addAll(beside);
    return new ConvertPlan(true, files, extras, List.of());
  }

  /// The folder of a rank.
  public static String rankFolder(int rank) {
    return "rank-%05d".formatted(rank);
  }

  private static ConvertPlan toFolder(
      Map<String, List<Share>> components,
      long maxShardBytes,
      List<SmallFile> beside,
      String folder) {
    Wish wish = new Wish(Selection.ALL, true, maxShardBytes, List.of());
    List<TensorFile> files = new ArrayList<>();
    List<SmallFile> extras = new ArrayList<>(beside);
    components.forEach((name, shares) -> {
      ConvertPlan one = toSafetensors(shares, wish, folder, name);
      files.addAll(one.files());
      extras.addAll(one.extras());
    });
    return new ConvertPlan(true, files, extras, List.of());
  }

  private static ConvertPlan toSafetensors(
      List<Share> source, Wish wish, String folder, String base) {
    List<String> names = source.stream().map(share -> share.source().tensor().name()).toList();
    List<String> unfilled = wish.selection().unmatched(names);
    if (!unfilled.isEmpty()) {
      throw new KeepstoneException.Refused(
          "no tensor has a name like " + String.join(", ", unfilled),
          names.size() + " tensors",
          "look at the names with inspect; * stands for any characters");
    }
    Set<String> taken = new HashSet<>(wish.selection().taken(names));
    List<Share> copies =
        source.stream().filter(share -> taken.contains(share.source().tensor().name())).toList();
    List<String> unused = names.stream().filter(name -> !taken.contains(name)).toList();
    List<List<Share>> shards = cut(copies, wish.maxShardBytes());
    if (!wish.folder() && shards.size() > 1) {
      throw new KeepstoneException.Refused(
          "%d bytes make %d files of at most %d, and the target is one file"
              .formatted(bytes(copies), shards.size(), wish.maxShardBytes()),
          copies.size() + " tensors",
          "name a folder as the target, or raise the limit");
    }
    List<TensorFile> files = new ArrayList<>();
    for (int i = 0; i < shards.size(); i++) {
      String name =
          shards.size() == 1
              ? base + ".safetensors"
              : "%s-%05d-of-%05d.safetensors".formatted(base, i + 1, shards.size());
      files.add(new TensorFile(folder + name, inReferenceOrder(shards.get(i))));
    }
    List<SmallFile> extras = new ArrayList<>(wish.folder() ? wish.beside() : List.of());
    if (files.size() > 1) {
      extras.add(index(files, folder, base));
    }
    return new ConvertPlan(wish.folder(), files, extras, unused);
  }

  private static List<List<Share>> cut(List<Share> shares, long maxBytes) {
    List<List<Share>> shards = new ArrayList<>();
    shards.add(new ArrayList<>());
    long bytes = 0;
    for (Share share : shares) {
      long more = share.byteLength();
      if (bytes > 0 && more > maxBytes - bytes) {
        shards.add(new ArrayList<>());
        bytes = 0;
      }
      shards.getLast().add(share);
      bytes += more;
    }
    return shards;
  }

  private static List<Share> inReferenceOrder(List<Share> shares) {
    return shares.stream()
        .sorted(Comparator.comparing(Share::target, SafetensorsEncoder.referenceOrder()))
        .toList();
  }

  private static SmallFile index(List<TensorFile> files, String folder, String base) {
    Map<String, String> weightMap = new LinkedHashMap<>();
    long bytes = 0;
    for (TensorFile file : files) {
      String name = file.name().substring(folder.length());
      file.shares().forEach(share -> weightMap.put(share.source().tensor().name(), name));
      bytes += tensorBytes(file);
    }
    return new SmallFile(
        folder + base + ".safetensors.index.json", new SafetensorsIndex(weightMap).encode(bytes));
  }

  private static long tensorBytes(TensorFile file) {
    return bytes(file.shares());
  }

  private static long bytes(List<Share> shares) {
    return shares.stream().mapToLong(Share::byteLength).sum();
  }
}
