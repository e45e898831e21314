package dev.keepstone.core.format.safetensors;

import dev.keepstone.core.format.safetensors.SafetensorsHeader.Entry;
import dev.keepstone.core.tensor.Dtype;
import dev.keepstone.core.tensor.Shape;
import java.nio.charset.StandardCharsets;
import java.util.AbstractList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.HashSet;
import java.util.Objects;
import java.util.RandomAccess;
import java.util.Set;
import java.util.stream.IntStream;
import java.util.zip.CRC32;
import org.jspecify.annotations.Nullable;

/// The entries of one header, a column for each of their fields: to make a million objects, and to
/// move them whenever the collector comes, takes longer than to read their text. An [Entry] is made
/// when somebody asks for it.
///
/// Grows while the header is read, and is not changed after [#sort].
final class EntryColumns extends AbstractList<Entry> implements RandomAccess {
  /// What an entry takes of the text at a guess; with more in it than that, the columns grow.
  private static final int TYPICAL_BYTES = 64;

  /// Up to so many names are compared each with each; more of them mean somebody chose them so.
  private static final int COMPARED_IN_PAIRS = 8;

  private static final Dtype[] DTYPES = Dtype.values();

  private final byte[] text;
  private int[] nameBegins;
  private int[] nameEnds;
  private byte[] dtypes;
  private @Nullable Shape[] shapes;
  private long[] begins;
  private int size;
  private boolean pending;
  private int @Nullable [] order;

  /// @param text the header's bytes, in which the names lie
  EntryColumns(byte[] text) {
    this.text = text;
    int expected = text.length / TYPICAL_BYTES + 1;
    nameBegins = new int[expected];
    nameEnds = new int[expected];
    dtypes = new byte[expected];
    shapes = new Shape[expected];
    begins = new long[expected];
  }

  /// Where a name lies, in UTF-8; the rest of its entry comes with [#add].
  void name(int begin, int end) {
    if (size == begins.length) {
      nameBegins = Arrays.copyOf(nameBegins, 2 * size);
      nameEnds = Arrays.copyOf(nameEnds, 2 * size);
      dtypes = Arrays.copyOf(dtypes, 2 * size);
      shapes = Arrays.copyOf(shapes, 2 * size);
      begins = Arrays.copyOf(begins, 2 * size);
    }
    nameBegins[size] = begin;
    nameEnds[size] = end;
    pending = true;
  }

  /// The name whose entry has not come yet, or null.
  @Nullable String pendingName() {
    return pending ? name(size) : null;
  }

  /// Whether the name whose entry has not come yet is this one.
  boolean pendingIs(byte[] utf8) {
    return Arrays.equals(text, nameBegins[size], nameEnds[size], utf8, 0, utf8.length);
  }

  /// Forgets the name whose entry has not come yet.
  void drop() {
    pending = false;
  }

  /// The entry of the name given last.
  void add(Dtype dtype, Shape shape, long begin) {
    dtypes[size] = (byte) dtype.ordinal();
    shapes[size] = shape;
    begins[size] = begin;
    size++;
    pending = false;
  }

  @Override
  public int size() {
    return size;
  }

  @Override
  public Entry get(int index) {
    int row = row(index);
    return new Entry(name(row), dtype(row), shape(row), begins[row], begins[row] + bytes(row));
  }

  /// [Entry#begin] of an entry.
  long begin(int index) {
    return begins[row(index)];
  }

  /// [Entry#end] of an entry.
  long end(int index) {
    int row = row(index);
    return begins[row] + bytes(row);
  }

  private int row(int index) {
    Objects.checkIndex(index, size);
    return order == null ? index : order[index];
  }

  private Dtype dtype(int row) {
    return DTYPES[dtypes[row]];
  }

  private Shape shape(int row) {
    return Objects.requireNonNull(shapes[row]);
  }

  private long bytes(int row) {
    return shape(row).byteLength(dtype(row));
  }

  private String name(int row) {
    return new String(
        text, nameBegins[row], nameEnds[row] - nameBegins[row], StandardCharsets.UTF_8);
  }

  /// Brings the entries into the order of their data, empty ones before what begins at the same
  /// place. Most files have them so.
  void sort() {
    for (int i = 1; i < size; i++) {
      if (begins[i] < begins[i - 1] || begins[i] == begins[i - 1] && end(i) < end(i - 1)) {
        order =
            IntStream.range(0, size)
                .boxed()
                .sorted(
                    Comparator.<Integer>comparingLong(row -> begins[row])
                        .thenComparingLong(row -> begins[row] + bytes(row)))
                .mapToInt(row -> row)
                .toArray();
        return;
      }
    }
  }

  /// A name given twice, or null. Names are compared with those of the same bucket only, and where
  /// a bucket has many, which honest names do not bring about, by a set that takes any number of
  /// them well.
  @Nullable String twin() {
    int buckets = Math.max(1, Integer.highestOneBit(size) * 2);
    int[] hashes = hashes();
    int[] ends = new int[buckets];
    for (int hash : hashes) {
      ends[hash & (buckets - 1)]++;
    }
    for (int bucket = 1; bucket < buckets; bucket++) {
      ends[bucket] += ends[bucket - 1];
    }
    int[] rows = new int[size];
    for (int row = 0; row < size; row++) {
      // From the end of its bucket forwards: what was the end is the begin when all are in.
      rows[--ends[hashes[row] & (buckets - 1)]] = row;
    }
    for (int bucket = 0; bucket < buckets; bucket++) {
      int end = bucket + 1 < buckets ? ends[bucket + 1] : size;
      int row = end - ends[bucket] < 2 ? -1 : twin(rows, ends[bucket], end, hashes);
      if (row >= 0) {
        return name(row);
      }
    }
    return null;
  }

  private int[] hashes() {
    int[] hashes = new int[size];
    CRC32 crc = new CRC32();
    for (int row = 0; row < size; row++) {
      crc.reset();
      crc.update(text, nameBegins[row], nameEnds[row] - nameBegins[row]);
      hashes[row] = (int) crc.getValue();
    }
    return hashes;
  }

  private int twin(int[] rows, int begin, int end, int[] hashes) {
    if (end - begin > COMPARED_IN_PAIRS) {
      Set<String> seen = new HashSet<>();
      return Arrays.stream(rows, begin, end)
          .filter(row -> !seen.add(name(row)))
          .findFirst()
          .orElse(-1);
    }
    for (int i = begin; i < end; i++) {
      for (int other = begin; other < i; other++) {
        if (hashes[rows[i]] == hashes[rows[other]] && sameName(rows[i], rows[other])) {
          return rows[i];
        }
      }
    }
    return -1;
  }

  private boolean sameName(int row, int other) {
    return Arrays.equals(
        text, nameBegins[row], nameEnds[row], text, nameBegins[other], nameEnds[other]);
  }
}
