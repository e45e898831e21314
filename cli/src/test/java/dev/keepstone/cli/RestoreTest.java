package dev.keepstone.cli;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import dev.keepstone.core.bytes.OpenFile;
import dev.keepstone.core.json.Json;
import dev.keepstone.core.json.JsonReader;
import dev.keepstone.core.tensor.Dtype;
import dev.keepstone.store.object.Start.Wanted;
import dev.keepstone.store.part.ShardReceipt;
import dev.keepstone.store.reference.CheckpointId;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class RestoreTest {
  private static final byte[] MOMENTS = "moments!".getBytes(UTF_8);

  @TempDir Path folder;
  private String store = "";
  private Path out = Path.of("");
  private CheckpointId id = new CheckpointId(1, 1);
  private Path shard = Path.of("");

  @BeforeEach
  void save() throws IOException {
    store = folder.resolve("ckpts").toString();
    out = folder.resolve("out");
    Path small = Tensors.write(folder.resolve("small.safetensors"));
    Ran.keepstone("import", small.toString(), store + "/gpt");
    Saves saves = new Saves(Path.of(store), "gpt");
    id = new CheckpointId(saves.start(Wanted.LATEST), 7);
    MemorySegment weight = MemorySegment.ofArray(new byte[] {0, 0, 1, 0, 0, 0, 2, 0});
    ShardReceipt model = saves.shard(id, "model", "weight", Dtype.F32, weight);
    shard = Path.of(store, "gpt", "checkpoints", id.toString(), model.file());
    ShardReceipt moments =
        saves.shard(id, "optimizer", "weight.exp_avg", Dtype.U8, MemorySegment.ofArray(MOMENTS));
    saves.commit(id, List.of(model, moments));
  }

  @Test
  void aFolderHasASetPerComponentAndTheStateTree() throws IOException {
    Ran ran = Ran.keepstone("restore", store + "/gpt", out.toString(), "--json");
    assertThat(ran.code()).isZero();
    Examples.assertKept("restore", ran.json());
    assertThat(ran.json().text("id")).isEqualTo(id.toString());
    assertThat(names(out))
        .containsExactlyInAnyOrder("model.safetensors", "optimizer.safetensors", "state.json");
    Json.Obj state = JsonReader.readObject(Files.readAllBytes(out.resolve("state.json")));
    assertThat(state.object("state").integer("n")).isEqualTo(7);
    assertThat(Files.readAllBytes(out.resolve("optimizer.safetensors"))).endsWith(MOMENTS);
    Json.Obj inspected =
        Ran.keepstone("inspect", out.resolve("model.safetensors").toString(), "--json").json();
    assertThat(((Json.Obj) inspected.array("tensors").getFirst()).text("name")).isEqualTo("weight");
  }

  @Test
  void anExistingFolderIsLeftAsItIs() throws IOException {
    Files.createDirectory(out);
    Ran ran = Ran.keepstone("restore", store + "/gpt", out.toString());
    assertThat(ran.code()).isEqualTo(ExitCode.REFUSED.number);
    assertThat(ran.err()).contains("nothing is ever overwritten");
    assertThat(names(out)).isEmpty();
  }

  @Test
  void aDamagedCheckpointLeavesNothing() throws IOException {
    try (RandomAccessFile file = new RandomAccessFile(shard.toFile(), "rw")) {
      file.seek(OpenFile.ALIGNMENT);
      file.write(99);
    }
    Ran ran = Ran.keepstone("restore", store + "/gpt@" + id, out.toString());
    assertThat(ran.code()).isEqualTo(ExitCode.INTEGRITY.number);
    assertThat(ran.err()).contains("weight");
    assertThat(names(folder)).containsExactlyInAnyOrder("ckpts", "small.safetensors");
  }

  private static List<String> names(Path folder) throws IOException {
    try (Stream<Path> files = Files.list(folder)) {
      return files.map(file -> String.valueOf(file.getFileName())).toList();
    }
  }
}
