package dev.keepstone.core.json;

import java.util.AbstractList;
import java.util.List;
import java.util.RandomAccess;
import java.util.function.Function;

/// The elements of an array as a function of something else.
final class MadeOnDemand<T> extends AbstractList<Json> implements RandomAccess {
  private final List<T> elements;
  private final Function<? super T, ? extends Json> form;

  MadeOnDemand(List<T> elements, Function<? super T, ? extends Json> form) {
    this.elements = elements;
    this.form = form;
  }

  @Override
  public Json get(int index) {
    return form.apply(elements.get(index));
  }

  @Override
  public int size() {
    return elements.size();
  }
}
