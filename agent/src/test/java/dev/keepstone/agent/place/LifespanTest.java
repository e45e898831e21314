package dev.keepstone.agent.place;

import static org.assertj.core.api.Assertions.assertThat;

import dev.keepstone.segment.place.Outlives;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

final class LifespanTest {
  @ParameterizedTest
  @CsvSource({
    "0::/user.slice/user-1000.slice/session-3.scope, false, NODE",
    "0::/system.slice/slurmstepd.scope/job_1234/step_0/user/task_0, false, JOB_STEP",
    "5:cpuset:/slurm/uid_1000/job_77/step_batch, true, JOB_STEP",
    "12:pids:/docker/0123456789abcdef, false, PROCESS",
    "0::/kubepods.slice/kubepods-pod1.slice/x.scope, false, PROCESS",
    "0::/, true, PROCESS",
    "0::/, false, NODE",
  })
  void theControlGroupTellsWhatAnAgentIsTiedTo(String cgroups, boolean marker, Outlives expected) {
    assertThat(Lifespan.judge(cgroups, marker)).isEqualTo(expected);
  }
}
