package dev.keepstone.testkit.tidy;

import static org.assertj.core.api.Assertions.assertThat;

import com.sun.source.tree.ImportTree;
import dev.keepstone.testkit.tidy.Checkout.JavaFile;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;

class RoomsTest {
  private static final String HOUSE = "dev.keepstone";

  /// Every room of the product in the order in which they rest on each other: a room may import
  /// those above it and none below. Maven holds the directions between modules; this holds those
  /// inside, and that there is no cycle.
  private static final List<String> ORDER =
      List.of(
          "core.failure",
          "core.json",
          "core.tensor",
          "core.bytes",
          "core.health",
          "core.state",
          "core.pickle",
          "core.reshard",
          "core.view",
          "core.format",
          "core.format.safetensors",
          "core.format.torch",
          "core.convert",
          "core.diff",
          "testkit",
          "store.reference",
          "store.object",
          "store.part",
          "store.manifest",
          "store.tier",
          "store.fact",
          "store.policy",
          "store.run",
          "store.journal",
          "store.hold",
          "store.commit",
          "store.start",
          "store.due",
          "store.retention",
          "store.deletion",
          "store.shard",
          "store.restore",
          "store.verify",
          "store.lineage",
          "",
          "segment.memory",
          "segment.layout",
          "segment.file",
          "segment.place",
          "segment.wire",
          "client",
          "agent.drain",
          "agent.events",
          "agent.place",
          "agent.serve",
          "agent",
          "demo",
          "cli.distribution",
          "cli.doctor",
          "cli",
          "bench");

  /// Directions that the order would allow and the design does not: room, what it may not import,
  /// why.
  private static final List<List<String>> NEVER =
      List.of(
          List.of("store.retention", "store.tier", "retention is a pure function over records"),
          List.of("store.retention", "core.bytes", "retention is a pure function over records"),
          List.of("store.fact", "store.tier", "facts are merged wherever they come from"),
          List.of("store.manifest", "store.tier", "a manifest is a function of its parts"),
          List.of(
              "core.format", "core.state", "a format knows bytes; what they mean is the state's"));

  /// What a sign says where it says what a room may not import.
  private static final Pattern BOUNDS = Pattern.compile("[Ii]mports?|knows|sees|Pure");

  private final Checkout checkout = Checkout.here();

  @Test
  void everyRoomImportsOnlyThoseItRestsOn() {
    List<String> findings = new ArrayList<>();
    for (JavaFile file : checkout.product()) {
      String room = inside(file.room());
      int place = ORDER.indexOf(room);
      if (place < 0) {
        findings.add(file.path() + "  room " + room + " has no place in RoomsTest.ORDER");
        continue;
      }
      for (String imported : imports(file)) {
        if (ORDER.indexOf(imported) > place) {
          findings.add(file.path() + "  imports " + imported + ", which rests on " + room);
        }
        for (List<String> never : NEVER) {
          if (within(room, never.get(0)) && within(imported, never.get(1))) {
            findings.add(file.path() + "  imports " + imported + ": " + never.get(2));
          }
        }
      }
    }
    assertThat(findings).as("directions between rooms (design: docs/architecture.md)").isEmpty();
  }

  @Test
  void theOrderNamesNoRoomThatIsNotThere() {
    TreeSet<String> there = new TreeSet<>();
    checkout.product().forEach(file -> there.add(inside(file.room())));
    assertThat(there).as("rooms that ORDER names without an inhabitant").containsAll(ORDER);
  }

  @Test
  void everyRoomHasASign() {
    Map<String, JavaFile> signs = new LinkedHashMap<>();
    TreeSet<String> rooms = new TreeSet<>();
    checkout.product().forEach(file -> rooms.add(file.room()));
    for (JavaFile file : checkout.java) {
      if (file.type().equals("package-info")) {
        signs.put(file.room(), file);
      }
    }
    List<String> findings = new ArrayList<>();
    for (String room : rooms) {
      JavaFile sign = signs.get(room);
      if (sign == null) {
        findings.add(room + "  has no package-info.java");
        continue;
      }
      String text = sign.file().text();
      List<String> words = text.lines().filter(line -> line.startsWith("///")).toList();
      if (!text.contains("@NullMarked")) {
        findings.add(sign.path() + "  lacks @NullMarked");
      }
      if (words.size() < 3 || !BOUNDS.matcher(String.join(" ", words)).find()) {
        findings.add(
            sign.path()
                + "  should say what lives here, where to start, who calls, what may not be"
                + " imported");
      }
    }
    assertThat(findings).as("room signs").isEmpty();
  }

  /// Rooms of the house named by the imports of a file, without the types.
  private static List<String> imports(JavaFile file) {
    List<String> rooms = new ArrayList<>();
    for (ImportTree line : file.unit().getImports()) {
      String name = line.getQualifiedIdentifier().toString();
      if (name.startsWith(HOUSE + ".")) {
        // A package's name is what stands before the first capital letter.
        rooms.add(inside(name.replaceFirst("\\.[A-Z*].*$", "")));
      }
    }
    return rooms;
  }

  private static String inside(String room) {
    return room.equals(HOUSE) ? "" : room.substring(HOUSE.length() + 1);
  }

  private static boolean within(String room, String outer) {
    return room.equals(outer) || room.startsWith(outer + ".");
  }
}
