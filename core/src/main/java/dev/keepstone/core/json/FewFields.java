package dev.keepstone.core.json;

import java.util.AbstractMap;
import java.util.AbstractSet;
import java.util.Arrays;
import java.util.Collections;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Set;
import java.util.function.BiConsumer;
import org.jspecify.annotations.Nullable;

/// The fields of one object, in order, unmodifiable, looked through one by one. A part of a hundred
/// thousand tensors has several hundred thousand small objects: in two arrays each takes a quarter
/// of what a linked hash map takes.
final class FewFields extends AbstractMap<String, Json> {
  /// Beyond that many, looking through them would be slow, and with names made up for it a hazard.
  private static final int MOST = 16;

  private final String[] names;
  private final Json[] values;

  private FewFields(Map<String, Json> fields) {
    names = fields.keySet().toArray(String[]::new);
    values = fields.values().toArray(Json[]::new);
  }

  /// An unmodifiable copy of a map that has an order.
  static Map<String, Json> copyOf(Map<String, Json> fields) {
    if (fields instanceof FewFields) {
      return fields;
    }
    return fields.size() <= MOST
        ? new FewFields(fields)
        : Collections.unmodifiableMap(new LinkedHashMap<>(fields));
  }

  @Override
  public int size() {
    return names.length;
  }

  @Override
  public @Nullable Json get(@Nullable Object name) {
    int at = Arrays.asList(names).indexOf(name);
    return at < 0 ? null : values[at];
  }

  @Override
  public boolean containsKey(@Nullable Object name) {
    return get(name) != null;
  }

  @Override
  public void forEach(BiConsumer<? super String, ? super Json> action) {
    for (int i = 0; i < names.length; i++) {
      action.accept(names[i], values[i]);
    }
  }

  @Override
  public Set<Entry<String, Json>> entrySet() {
    return new Entries();
  }

  private final class Entries extends AbstractSet<Entry<String, Json>> {
    @Override
    public int size() {
      return names.length;
    }

    @Override
    public Iterator<Entry<String, Json>> iterator() {
      return new Iterator<>() {
        private int next;

        @Override
        public boolean hasNext() {
          return next < names.length;
        }

        @Override
        public Entry<String, Json> next() {
          Entry<String, Json> entry = Map.entry(names[next], values[next]);
          next++;
          return entry;
        }
      };
    }
  }
}
