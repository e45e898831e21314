package dev.keepstone.testkit.tidy;

import static org.assertj.core.api.Assertions.assertThat;

import com.sun.source.tree.ClassTree;
import com.sun.source.tree.IdentifierTree;
import com.sun.source.tree.MemberSelectTree;
import com.sun.source.tree.MethodTree;
import com.sun.source.tree.Tree;
import com.sun.source.tree.VariableTree;
import com.sun.source.util.TreeScanner;
import dev.keepstone.testkit.tidy.Checkout.JavaFile;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.regex.Pattern;
import javax.lang.model.element.Modifier;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;

class PublicTypesTest {
  /// What people program against: their users are not in this repository.
  private static final Set<String> LIBRARY = Set.of("dev.keepstone", "dev.keepstone.client");

  /// Benchmarks are found by their harness, and an exception may be caught by a wider name.
  private static final Pattern UNNAMED = Pattern.compile("^bench/|Exception\\.java$");

  private final Checkout checkout = Checkout.here();

  @Test
  void aPublicTypeHasAUserOutsideItsRoom() {
    Map<String, Set<String>> roomsThatName = new HashMap<>();
    for (JavaFile file : checkout.java) {
      for (String name : names(file.unit())) {
        roomsThatName.computeIfAbsent(name, _ -> new HashSet<>()).add(file.room());
      }
    }
    List<String> findings = new ArrayList<>();
    for (JavaFile file : checkout.product()) {
      for (Tree tree : file.unit().getTypeDecls()) {
        if (tree instanceof ClassTree type
            && type.getModifiers().getFlags().contains(Modifier.PUBLIC)
            && !LIBRARY.contains(file.room())
            && !UNNAMED.matcher(file.path()).find()
            && !file.isMain()) {
          String name = type.getSimpleName().toString();
          Set<String> users = new HashSet<>(roomsThatName.getOrDefault(name, Set.of()));
          users.remove(file.room());
          if (users.isEmpty() && !inPublicSignature(name, file.room())) {
            findings.add(file.path() + "  is public and nobody outside its room names it");
          }
        }
      }
    }
    assertThat(findings).as("public types without a user; make them package-private").isEmpty();
  }

  /// Whether another public type of the room hands this one out or takes it: then users meet it
  /// without naming it.
  private boolean inPublicSignature(String name, String room) {
    for (JavaFile file : checkout.product()) {
      if (!file.room().equals(room) || file.type().equals(name)) {
        continue;
      }
      for (Tree tree : file.unit().getTypeDecls()) {
        if (tree instanceof ClassTree type
            && type.getModifiers().getFlags().contains(Modifier.PUBLIC)
            && signatures(type).contains(name)) {
          return true;
        }
      }
    }
    return false;
  }

  /// Type names in the heads of a type and of its members that are not private.
  private static Set<String> signatures(ClassTree type) {
    Set<String> names = new HashSet<>();
    if (type.getExtendsClause() != null) {
      names.addAll(names(type.getExtendsClause()));
    }
    type.getImplementsClause().forEach(tree -> names.addAll(names(tree)));
    type.getPermitsClause().forEach(tree -> names.addAll(names(tree)));
    for (Tree member : type.getMembers()) {
      switch (member) {
        case MethodTree method
            when !method.getModifiers().getFlags().contains(Modifier.PRIVATE) -> {
          if (method.getReturnType() != null) {
            names.addAll(names(method.getReturnType()));
          }
          method.getParameters().forEach(parameter -> names.addAll(names(parameter)));
        }
        // A component of a record is a private field with a public reader.
        case VariableTree variable
            when !variable.getModifiers().getFlags().contains(Modifier.PRIVATE)
                || type.getKind() == Tree.Kind.RECORD ->
            names.addAll(names(variable.getType()));
        case ClassTree nested
            when nested.getModifiers().getFlags().contains(Modifier.PUBLIC)
                || type.getKind() == Tree.Kind.INTERFACE ->
            names.addAll(signatures(nested));
        default -> {}
      }
    }
    return names;
  }

  private static Set<String> names(Tree tree) {
    Set<String> names = new HashSet<>();
    new TreeScanner<@Nullable Void, @Nullable Void>() {
      @Override
      public @Nullable Void visitIdentifier(IdentifierTree identifier, @Nullable Void none) {
        names.add(identifier.getName().toString());
        return null;
      }

      @Override
      public @Nullable Void visitMemberSelect(MemberSelectTree select, @Nullable Void none) {
        names.add(select.getIdentifier().toString());
        return super.visitMemberSelect(select, none);
      }
    }.scan(tree, null);
    return names;
  }
}
