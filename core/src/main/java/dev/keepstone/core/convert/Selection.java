package dev.keepstone.core.convert;

import java.util.List;
import java.util.function.Predicate;
import java.util.regex.Pattern;
import java.util.stream.Collectors;

/// Which tensors are taken, by patterns over their names: `*` stands for any characters, dots
/// included, `?` for one.
///
/// @param include taken is what one of these matches; everything where there are none
/// @param exclude left out is what one of these matches, whatever `include` says
public record Selection(List<String> include, List<String> exclude) {
  /// Everything.
  public static final Selection ALL = new Selection(List.of(), List.of());

  public Selection {
    include = List.copyOf(include);
    exclude = List.copyOf(exclude);
  }

  /// The tensors of these names that are taken, in order.
  List<String> taken(List<String> names) {
    return names.stream().filter(predicate()).toList();
  }

  /// Whether the tensor of a name is taken.
  public Predicate<String> predicate() {
    List<Pattern> wanted = include.stream().map(Selection::pattern).toList();
    List<Pattern> unwanted = exclude.stream().map(Selection::pattern).toList();
    return name -> (wanted.isEmpty() || matchesAny(wanted, name)) && !matchesAny(unwanted, name);
  }

  /// The patterns of `include` that match none of these names: most likely misspelt.
  List<String> unmatched(List<String> names) {
    return include.stream()
        .filter(glob -> names.stream().noneMatch(pattern(glob).asMatchPredicate()))
        .toList();
  }

  private static boolean matchesAny(List<Pattern> patterns, String name) {
    return patterns.stream().anyMatch(pattern -> pattern.matcher(name).matches());
  }

  private static Pattern pattern(String glob) {
    return Pattern.compile(
        glob.codePoints()
            .mapToObj(c -> c == '*' ? ".*" : c == '?' ? "." : Pattern.quote(Character.toString(c)))
            .collect(Collectors.joining()),
        Pattern.DOTALL);
  }
}
