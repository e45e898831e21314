package dev.keepstone.segment.memory;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class RecordLockTest {
  private static final RecordLock.Holder NOBODY = new RecordLock.Holder.Nobody();

  private Path path;

  @BeforeEach
  void place(@TempDir Path directory) {
    path = directory.resolve("l");
  }

  @Test
  void aLockOfAnotherProcessIsSeenAndEndsWithItsKill() throws Exception {
    Process holder = LockHolder.start(path);
    try {
      assertThat(RecordLock.probe(path)).isEqualTo(new RecordLock.Holder.Held(holder.pid()));
      assertThat(RecordLock.tryTake(path)).isEmpty();
      // Neither the look nor the try ended it.
      assertThat(RecordLock.probe(path)).isEqualTo(new RecordLock.Holder.Held(holder.pid()));
    } finally {
      holder.destroyForcibly().waitFor();
    }
    assertThat(RecordLock.probe(path)).isEqualTo(NOBODY);
    try (RecordLock mine = RecordLock.tryTake(path).orElseThrow()) {
      assertThat(mine).isNotNull();
    }
  }

  @Test
  void aLockOfThisProcessIsSeenHereAndElsewhereAndSurvivesTheLook() throws Exception {
    try (RecordLock _ = RecordLock.tryTake(path).orElseThrow()) {
      assertThat(RecordLock.probe(path))
          .isEqualTo(new RecordLock.Holder.Held(ProcessHandle.current().pid()));
      assertThat(RecordLock.tryTake(path)).isEmpty();
      assertThat(RecordLock.tryTake(link(path))).isEmpty();
      assertThat(RecordLock.probe(link(path)))
          .isEqualTo(new RecordLock.Holder.Held(ProcessHandle.current().pid()));
      assertThat(LockProber.probe(path)).isEqualTo("Held " + ProcessHandle.current().pid());
    }
    assertThat(RecordLock.probe(path)).isEqualTo(NOBODY);
  }

  private static Path link(Path path) throws IOException {
    Path link = path.resolveSibling("link");
    return Files.exists(link) ? link : Files.createSymbolicLink(link, path);
  }

  @Test
  void aLockOnceClosedTwiceCanBeTakenAgain() {
    RecordLock lock = RecordLock.tryTake(path).orElseThrow();
    lock.close();
    try (RecordLock _ = RecordLock.tryTake(path).orElseThrow()) {
      // The first lock's descriptor may be this one's by now.
      lock.close();
      assertThat(RecordLock.probe(path)).isInstanceOf(RecordLock.Holder.Held.class);
    }
  }

  @Test
  void nobodyHoldsAFileThatIsMissing() {
    assertThat(RecordLock.probe(path)).isEqualTo(NOBODY);
    assertThat(path).doesNotExist();
  }
}
