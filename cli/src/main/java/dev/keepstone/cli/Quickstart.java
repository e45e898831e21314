package dev.keepstone.cli;

import dev.keepstone.Host;
import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.core.json.Json;
import dev.keepstone.segment.place.AgentDirectory;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.EnumSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/// `keepstone quickstart`: a real training run, killed while its checkpoint drains, and resumed.
@Command(
    name = "quickstart",
    header = "Train, kill the trainer in mid-step, resume, and compare every loss.",
    description = {
      "A small transformer learns this checkout's documentation on libtorch. It is",
      "killed with SIGKILL while a checkpoint drains, started again, and must then",
      "give the same losses, bit for bit, as a run that nobody interrupted.",
      ""
    },
    footer = {
      "",
      "Each time a new run is added to the store: demo, demo-2, and so on. The agent",
      "is the quickstart's own and ends with it.",
      "",
      "Examples:",
      "  keepstone quickstart",
      "  keepstone quickstart --store /mnt/nvme/try --steps 400"
    })
final class Quickstart implements Verb {
  @Spec @Nullable CommandSpec spec;

  @Option(
      names = "--store",
      paramLabel = "DIR",
      description = "Where checkpoints go (default: ./keepstone-quickstart).")
  Path store = Path.of("keepstone-quickstart");

  @Option(
      names = "--steps",
      paramLabel = "N",
      description = "Steps to train, with five checkpoints (default: 100).")
  long steps = 100;

  @Override
  public Set<ExitCode> codes() {
    return EnumSet.of(
        ExitCode.DONE,
        ExitCode.FAILED,
        ExitCode.USAGE,
        ExitCode.DENIED,
        ExitCode.NOT_FOUND,
        ExitCode.INTEGRITY,
        ExitCode.REFUSED,
        ExitCode.NO_SPACE,
        ExitCode.NO_AGENT,
        ExitCode.INTERRUPTED);
  }

  @Override
  public Answer run(Console console) throws IOException, InterruptedException {
    if (steps < QuickstartPlan.FEWEST_STEPS && spec != null) {
      throw new ParameterException(
          spec.commandLine(),
          "--steps must be at least " + QuickstartPlan.FEWEST_STEPS + ", found " + steps);
    }
    Path home = folder("keepstone.home");
    Path lib = folder("keepstone.demo.lib");
    Path root = store.toAbsolutePath().normalize();
    QuickstartStore saved = QuickstartStore.claim(root);
    QuickstartPlan plan = new QuickstartPlan(home, lib, root, saved.run(), steps);
    console.say("keepstone " + Version.number() + " · JDK " + Runtime.version().feature());

    Path usual = AgentDirectory.of(console.shell().environment()).path();
    Path place =
        usual.resolveSibling(usual.getFileName() + "-quickstart-" + ProcessHandle.current().pid());
    BlockingQueue<QuickstartNews> news = new LinkedBlockingQueue<>();
    try (QuickstartAgent agent = QuickstartAgent.start(console, place, news)) {
      console.say(QuickstartLines.agent(agent.pid(), agent.budget(), agent.outlives()));
      return play(console, plan, saved, new QuickstartStory(console, plan, agent, news));
    } finally {
      Files.deleteIfExists(plan.compared());
      saved.release();
    }
  }

  private static Answer play(
      Console console, QuickstartPlan plan, QuickstartStore saved, QuickstartStory story)
      throws IOException, InterruptedException {
    Host host = console.shell().host();
    QuickstartStory.Kill kill = story.trainAndKill();
    story.letTheAgentFinish(kill);
    QuickstartStore.Verified left = saved.verify(host, List.of(kill.id()));
    if (left.problem() != null) {
      throw left.problem();
    }
    console.say(QuickstartLines.finished(plan.slowStep(), kill.id()));
    QuickstartStory.Restored restored = story.resume();
    QuickstartLedger.Losses resumed = story.ledger().losses();
    console.say(QuickstartLines.reference(plan.steps()));
    QuickstartLedger.Agreement agreement = resumed.compare(story.reference(), restored.step());
    console.say(QuickstartLines.check(agreement));
    QuickstartStore.Verified verified = saved.verify(host, story.ledger().ids());
    QuickstartFigures figures = QuickstartFigures.of(story.ledger(), kill.id());

    String shown = QuickstartLines.shown(plan.store(), Path.of("").toAbsolutePath());
    console.say(QuickstartLines.store(shown + "/" + plan.run(), verified));
    console.say("");
    QuickstartLines.costs(figures).forEach(console::say);
    console.say("");
    QuickstartLines.next(shown, plan.run()).forEach(console::say);
    Json.Obj fields = fields(plan, kill, restored, agreement, figures, verified);
    return new Answer(fields, failure(plan, agreement, verified));
  }

  private static @Nullable KeepstoneException failure(
      QuickstartPlan plan,
      QuickstartLedger.Agreement agreement,
      QuickstartStore.Verified verified) {
    if (verified.problem() != null) {
      return verified.problem();
    }
    if (!agreement.identical()) {
      return new KeepstoneException.Failed(
          "the resumed run is not the uninterrupted one: expected "
              + agreement.compared()
              + " equal losses, found "
              + (agreement.compared() - agreement.different().size()),
          plan.store() + "/" + plan.run() + ", steps " + agreement.different(),
          "please report this with the output of `./keepstone quickstart --json`",
          null);
    }
    return null;
  }

  private static Json.Obj fields(
      QuickstartPlan plan,
      QuickstartStory.Kill kill,
      QuickstartStory.Restored restored,
      QuickstartLedger.Agreement agreement,
      QuickstartFigures figures,
      QuickstartStore.Verified verified) {
    return Json.object()
        .put("store", plan.store().toString())
        .put("run", plan.run())
        .put("steps", plan.steps())
        .put("killed_at", Math.max(kill.begun(), kill.ended()))
        .put(
            "kill",
            Json.object()
                .put("pid", kill.pid())
                .put("at", kill.at().toString())
                .put("in_step", kill.begun() > kill.ended())
                .put("draining", kill.id())
                .put("drained_percent", kill.percent())
                .build())
        .put("restored_step", restored.step())
        .put("restored_from", restored.from())
        .put("restore_ms", restored.millis())
        .put("losses_compared", agreement.compared())
        .put("bit_identical", agreement.identical())
        .put("different_steps", Json.integers(agreement.different()))
        .put("stall_ms", figures.stall())
        .put("durable_ms", figures.durable())
        .put("bytes_per_checkpoint", figures.bytes())
        .put("same_bytes_ms", figures.sameBytes())
        .put("checkpoints", verified.checkpoints())
        .put("verified_bytes", verified.bytes())
        .put("verify_ok", verified.problem() == null)
        .build();
  }

  /// A folder that the launcher names.
  private static Path folder(String property) {
    String value = System.getProperty(property, "");
    if (value.isEmpty() || !Files.isDirectory(Path.of(value))) {
      throw new KeepstoneException.NotFound(
          "the quickstart's trainer is not here: it belongs to a checkout and is not shipped",
          property + "=" + value,
          "clone the repository and type ./keepstone quickstart in it");
    }
    return Path.of(value);
  }
}
