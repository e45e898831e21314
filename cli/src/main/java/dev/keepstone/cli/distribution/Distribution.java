package dev.keepstone.cli.distribution;

import dev.keepstone.core.failure.KeepstoneException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.security.DigestOutputStream;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import java.util.stream.Stream;

/// What is installed, made from a checkout whose command is built.
///
/// - `keepstone-<version>-linux-<arch>.tar.gz`: launcher, runtime (jlink), jars, AOT cache, man
///   pages, completion, the client's wheel. Runs from any folder.
/// - `keepstone-<version>-py3-none-any.whl`: the Python client.
/// - `keepstone_agent-<version>-py3-none-linux_<arch>.whl`: launcher, runtime and jars, for `pip
///   install keepstone[agent]`.
public final class Distribution {
  private static final String LAUNCHER = "keepstone";

  private final Path home;
  private final Path jdk;
  private final String version;
  private final Consumer<String> doing;

  /// @param home the checkout
  /// @param jdk with jlink and jdeps
  /// @param doing told what begins, in a few words
  public Distribution(Path home, Path jdk, String version, Consumer<String> doing) {
    this.home = home;
    this.jdk = jdk;
    this.version = version;
    this.doing = doing;
  }

  /// One file that was made.
  public record Made(Path file, long bytes, String sha256) {}

  /// Makes all three, each under its name at once and whole; what lies there under such a name is
  /// replaced.
  ///
  /// @param jars the command's class path
  /// @param texts further files of the archive, by their path in it: man pages, completion
  /// @param to folder, made where it is missing
  /// @throws KeepstoneException.Refused where this is no checkout
  public List<Made> make(List<Path> jars, Map<String, String> texts, Path to)
      throws IOException, InterruptedException {
    Path client = home.resolve("clients/python");
    Path jlink = jdk.resolve("bin/jlink");
    if (!Files.isDirectory(client) || !Files.isExecutable(jlink)) {
      throw new KeepstoneException.Refused(
          "an archive is made from a checkout with a JDK, and this is "
              + (Files.isExecutable(jlink) ? "none" : "without jlink"),
          home.toString(),
          "run ./keepstone dist in a checkout");
    }
    Files.createDirectories(to);
    Path work = Files.createTempDirectory(to, ".dist-");
    try {
      String arch = arch();
      Path root = Files.createDirectory(work.resolve("keepstone-" + version + "-linux-" + arch));
      doing.accept("linking the runtime");
      link(jars, root.resolve("runtime"));
      copy(home.resolve(LAUNCHER), root.resolve(LAUNCHER));
      for (Path jar : jars) {
        copy(jar, root.resolve("lib").resolve(jar.getFileName()));
      }
      doing.accept("packing the wheels");
      Path clientWheel = clientWheel(client, work);
      Path agentWheel = agentWheel(root, work, arch);
      copy(clientWheel, root.resolve("python").resolve(clientWheel.getFileName()));
      copy(home.resolve("docs/guides/install.md"), root.resolve("README.md"));
      for (Map.Entry<String, String> text : texts.entrySet()) {
        Path file = root.resolve(text.getKey());
        Files.createDirectories(file.getParent());
        Files.writeString(file, text.getValue());
      }
      doing.accept("training the AOT cache");
      // The launcher makes the cache at its first call.
      Tool.run(List.of(root.resolve(LAUNCHER).toString(), "--version"));
      doing.accept("packing the archive");
      Path archive = work.resolve(root.getFileName() + ".tar.gz");
      Tool.run(
          List.of(
              "tar",
              "--create",
              "--gzip",
              "--file=" + archive,
              "--directory=" + work,
              "--sort=name",
              "--owner=0",
              "--group=0",
              "--numeric-owner",
              root.getFileName().toString()));
      return List.of(published(archive, to), published(clientWheel, to), published(agentWheel, to));
    } finally {
      delete(work);
    }
  }

  /// The machine as file names of the platform spell it.
  private static String arch() {
    String arch = System.getProperty("os.arch");
    return arch.equals("amd64") ? "x86_64" : arch;
  }

  private void link(List<Path> jars, Path runtime) throws IOException, InterruptedException {
    List<String> jdeps =
        Stream.concat(
                Stream.of(
                    jdk.resolve("bin/jdeps").toString(),
                    "--ignore-missing-deps",
                    "--multi-release=" + Runtime.version().feature(),
                    "--print-module-deps"),
                jars.stream().map(Path::toString))
            .toList();
    String modules = Tool.run(jdeps).strip();
    Tool.run(
        List.of(
            jdk.resolve("bin/jlink").toString(),
            "--add-modules=" + modules,
            "--strip-debug",
            "--no-man-pages",
            "--no-header-files",
            // The agent starts without our cache; the JDK's own one halves its start and its
            // memory.
            "--generate-cds-archive",
            "--output=" + runtime));
  }

  private Path clientWheel(Path client, Path work) throws IOException {
    Map<String, String> project = Wheel.project(client.resolve("pyproject.toml"));
    Path file = work.resolve("keepstone-" + version + "-py3-none-any.whl");
    String metadata =
        """
        Metadata-Version: 2.1
        Name: keepstone
        Version: %s
        Summary: %s
        Requires-Python: %s
        Provides-Extra: agent
        Requires-Dist: %s; extra == "agent"
        Description-Content-Type: text/markdown

        %s\
        """
            .formatted(
                version,
                project.get("description"),
                project.get("requires-python"),
                "keepstone-agent==" + version,
                Files.readString(client.resolve("README.md")));
    try (Wheel wheel = Wheel.create(file, "keepstone", version)) {
      wheel.folder(client.resolve("keepstone"), "keepstone", ".py", "py.typed");
      wheel.finish(metadata, "py3-none-any", true);
    }
    return file;
  }

  private Path agentWheel(Path root, Path work, String arch) throws IOException {
    String tag = "py3-none-linux_" + arch;
    Path file = work.resolve("keepstone_agent-" + version + "-" + tag + ".whl");
    String metadata =
        """
        Metadata-Version: 2.1
        Name: keepstone-agent
        Version: %s
        Summary: The agent and the command of Keepstone, with a Java runtime of their own
        Requires-Python: >=3.9
        """
            .formatted(version);
    try (Wheel wheel = Wheel.create(file, "keepstone_agent", version)) {
      wheel.text(
          "keepstone_agent/__init__.py",
          "\"\"\"The agent and the command of Keepstone; the client finds them here.\"\"\"\n");
      wheel.file(root.resolve(LAUNCHER), "keepstone_agent/home/" + LAUNCHER);
      wheel.folder(root.resolve("runtime"), "keepstone_agent/home/runtime", "");
      wheel.folder(root.resolve("lib"), "keepstone_agent/home/lib", ".jar");
      wheel.finish(metadata, tag, false);
    }
    return file;
  }

  private static void copy(Path from, Path to) throws IOException {
    Files.createDirectories(to.getParent());
    Files.copy(from, to, StandardCopyOption.COPY_ATTRIBUTES);
  }

  private static Made published(Path file, Path to) throws IOException {
    MessageDigest digest;
    try {
      digest = MessageDigest.getInstance("SHA-256");
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException(e);
    }
    try (InputStream in = Files.newInputStream(file)) {
      in.transferTo(new DigestOutputStream(java.io.OutputStream.nullOutputStream(), digest));
    }
    Path name = to.resolve(file.getFileName());
    Files.move(file, name, StandardCopyOption.REPLACE_EXISTING, StandardCopyOption.ATOMIC_MOVE);
    return new Made(name, Files.size(name), HexFormat.of().formatHex(digest.digest()));
  }

  private static void delete(Path folder) throws IOException {
    try (Stream<Path> inside = Files.walk(folder)) {
      for (Path path : inside.sorted(java.util.Comparator.reverseOrder()).toList()) {
        Files.deleteIfExists(path);
      }
    }
  }
}
