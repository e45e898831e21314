package dev.keepstone.testkit.tidy;

import com.sun.source.tree.CompilationUnitTree;
import com.sun.source.util.JavacTask;
import com.sun.source.util.Trees;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileVisitResult;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.SimpleFileVisitor;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import javax.tools.JavaCompiler;
import javax.tools.StandardJavaFileManager;
import javax.tools.ToolProvider;

/// The sources as they lie on the disk: every text file, and every Java file parsed.
final class Checkout {
  private static final Set<String> NOT_OURS =
      Set.of(
          ".git", "target", "build", "dist", "node_modules", "__pycache__", "keepstone-quickstart");

  private static final Checkout HERE = read(Path.of(System.getProperty("keepstone.root", "..")));

  final Path root;
  final List<TextFile> texts;
  final List<JavaFile> java;
  final Trees trees;

  private Checkout(Path root, List<TextFile> texts, List<JavaFile> java, Trees trees) {
    this.root = root;
    this.texts = texts;
    this.java = java;
    this.trees = trees;
  }

  /// Read once, for all tests of this process.
  static Checkout here() {
    return HERE;
  }

  /// A file of text.
  ///
  /// @param path relative to the root, with `/`
  record TextFile(String path, String text) {
    /// The path and the number of the line in which `offset` lies, as editors understand it.
    String at(int offset) {
      return path + ":" + (1 + text.substring(0, offset).chars().filter(c -> c == '\n').count());
    }
  }

  /// A Java file.
  ///
  /// @param room the package's name
  /// @param module first folder of the path
  /// @param test whether it lies below `src/test`
  record JavaFile(
      TextFile file, CompilationUnitTree unit, String room, String module, boolean test) {
    String path() {
      return file.path();
    }

    /// Name of the file without `.java`: the top-level type.
    String type() {
      String name = path().substring(path().lastIndexOf('/') + 1);
      return name.substring(0, name.length() - ".java".length());
    }

    /// Whether it starts a process: the only place that may look at a clock or end the process.
    boolean isMain() {
      return file.text().contains("static void main(String");
    }
  }

  /// Every Java file below `src/main`.
  List<JavaFile> product() {
    return java.stream().filter(file -> !file.test()).toList();
  }

  /// Every Markdown file.
  List<TextFile> documents() {
    return texts.stream().filter(file -> file.path().endsWith(".md")).toList();
  }

  private static Checkout read(Path start) {
    try {
      Path root = start.toRealPath();
      List<TextFile> texts = texts(root);
      List<Path> sources =
          texts.stream()
              .map(TextFile::path)
              .filter(p -> p.endsWith(".java"))
              .map(root::resolve)
              .toList();
      JavaCompiler compiler = ToolProvider.getSystemJavaCompiler();
      try (StandardJavaFileManager files =
          compiler.getStandardFileManager(null, Locale.ROOT, StandardCharsets.UTF_8)) {
        JavacTask task =
            (JavacTask)
                compiler.getTask(
                    null,
                    files,
                    null,
                    List.of("-proc:none"),
                    null,
                    files.getJavaFileObjectsFromPaths(sources));
        List<JavaFile> java = new ArrayList<>();
        for (CompilationUnitTree unit : task.parse()) {
          String path = relative(root, Path.of(unit.getSourceFile().toUri()));
          TextFile file =
              texts.stream().filter(t -> t.path().equals(path)).findFirst().orElseThrow();
          String room = unit.getPackageName() == null ? "" : unit.getPackageName().toString();
          java.add(
              new JavaFile(
                  file,
                  unit,
                  room,
                  path.substring(0, path.indexOf('/')),
                  path.contains("/src/test/")));
        }
        return new Checkout(root, texts, List.copyOf(java), Trees.instance(task));
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static List<TextFile> texts(Path root) throws IOException {
    List<TextFile> texts = new ArrayList<>();
    Files.walkFileTree(
        root,
        new SimpleFileVisitor<>() {
          @Override
          public FileVisitResult preVisitDirectory(Path folder, BasicFileAttributes attributes) {
            String name = folder.getFileName().toString();
            boolean foreign =
                !folder.equals(root)
                    && (NOT_OURS.contains(name)
                        || name.endsWith(".egg-info")
                        || name.startsWith(".") && !name.equals(".ci")
                        || Files.exists(folder.resolve("pyvenv.cfg")));
            return foreign ? FileVisitResult.SKIP_SUBTREE : FileVisitResult.CONTINUE;
          }

          @Override
          public FileVisitResult visitFile(Path file, BasicFileAttributes attributes)
              throws IOException {
            byte[] bytes = attributes.isRegularFile() ? Files.readAllBytes(file) : new byte[0];
            if (isText(bytes)) {
              texts.add(
                  new TextFile(relative(root, file), new String(bytes, StandardCharsets.UTF_8)));
            }
            return FileVisitResult.CONTINUE;
          }
        });
    texts.sort((a, b) -> a.path().compareTo(b.path()));
    return List.copyOf(texts);
  }

  private static boolean isText(byte[] bytes) {
    for (byte b : bytes) {
      if (b == 0) {
        return false;
      }
    }
    return bytes.length > 0;
  }

  private static String relative(Path root, Path file) {
    return root.relativize(file).toString().replace('\\', '/');
  }
}
