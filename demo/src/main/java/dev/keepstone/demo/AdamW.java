package dev.keepstone.demo;

import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.SequencedMap;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;

/// AdamW with decoupled weight decay (Loshchilov and Hutter 2019), in torch's order of operations.
///
/// libtorch has the optimizer but hides its state, so the update is written out here and the
/// moments are plain tensors: `<parameter>.exp_avg` and `<parameter>.exp_avg_sq`.
final class AdamW {
  /// What the update depends on beside its tensors.
  record Rates(double learning, double beta1, double beta2, double epsilon, double decay) {
    static final Rates QUICKSTART = new Rates(1e-3, 0.9, 0.99, 1e-8, 0.01);
  }

  private final Rates rates;
  private final SequencedMap<String, Tensor> parameters;
  private final SequencedMap<String, Tensor> moments = new LinkedHashMap<>();
  private long steps;

  AdamW(Rates rates, SequencedMap<String, Tensor> parameters) {
    this.rates = rates;
    this.parameters = parameters;
    parameters.forEach((name, parameter) -> {
      moments.put(name + ".exp_avg", torch.zeros_like(parameter.detach()));
      moments.put(name + ".exp_avg_sq", torch.zeros_like(parameter.detach()));
    });
  }

  Rates rates() {
    return rates;
  }

  /// Both moments of every parameter, by name.
  SequencedMap<String, Tensor> moments() {
    return Collections.unmodifiableSequencedMap(moments);
  }

  /// Updates made so far; the bias correction depends on it.
  long steps() {
    return steps;
  }

  /// Continues after this many updates.
  void steps(long made) {
    steps = made;
  }

  /// Updates every parameter by its gradient and drops the gradient.
  void step() {
    steps++;
    double correction1 = 1 - Math.pow(rates.beta1(), steps);
    double correction2 = Math.sqrt(1 - Math.pow(rates.beta2(), steps));
    Scalar keep = new Scalar(1 - rates.learning() * rates.decay());
    Scalar weight1 = new Scalar(1 - rates.beta1());
    Scalar beta2 = new Scalar(rates.beta2());
    Scalar weight2 = new Scalar(1 - rates.beta2());
    Scalar divisor = new Scalar(correction2);
    Scalar epsilon = new Scalar(rates.epsilon());
    Scalar stride = new Scalar(-rates.learning() / correction1);
    try (var _ = new NoGradGuard()) {
      parameters.forEach((name, parameter) -> {
        try (var _ = new PointerScope()) {
          Tensor gradient = parameter.grad();
          Tensor mean = moment(name + ".exp_avg");
          Tensor square = moment(name + ".exp_avg_sq");
          parameter.mul_(keep);
          mean.lerp_(gradient, weight1);
          square.mul_(beta2).addcmul_(gradient, gradient, weight2);
          Tensor spread = square.sqrt().div_(divisor).add_(epsilon);
          parameter.addcdiv_(mean, spread, stride);
          // A gradient that stayed would be added to; the first step after a restore has none.
          parameter.mutable_grad().reset();
        }
      });
    }
  }

  private Tensor moment(String name) {
    Tensor tensor = moments.get(name);
    if (tensor == null) {
      throw new IllegalArgumentException("no moment " + name);
    }
    return tensor;
  }
}
