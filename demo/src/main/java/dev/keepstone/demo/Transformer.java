package dev.keepstone.demo;

import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.SequencedMap;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptional;
import org.bytedeco.pytorch.global.torch;

/// A decoder-only transformer over bytes, pre-norm, as in GPT-2: token and position embeddings,
/// blocks of causal attention and a feed-forward layer, dropout in every block, an untied head.
///
/// Written with libtorch's tensor operations instead of its module classes, so that every parameter
/// is a tensor with a name, which is all that a checkpoint wants to know.
final class Transformer {
  /// One token a byte.
  static final int VOCABULARY = 256;

  /// The form of a model. `window` is the number of bytes that it sees at once.
  record Form(int width, int layers, int heads, int window, double dropout) {
    /// 3.3 million parameters: 38 MiB of state with AdamW's moments.
    static final Form QUICKSTART = new Form(256, 4, 4, 64, 0.1);

    Form {
      if (width % heads != 0) {
        throw new IllegalArgumentException(width + " is not a multiple of " + heads + " heads");
      }
    }
  }

  private static final double DEVIATION = 0.02;

  /// Larger than the rest, so that the token and not its place rules the stream at first: a run of
  /// a hundred steps then learns which byte follows which.
  private static final double TOKEN_DEVIATION = 0.3;

  private static final double NORM_EPSILON = 1e-5;

  private final Form form;
  private final SequencedMap<String, Tensor> parameters = new LinkedHashMap<>();
  private final Tensor future;

  /// Draws the initial values from libtorch's generator.
  Transformer(Form form) {
    this.form = form;
    int width = form.width();
    matrix("tokens.weight", VOCABULARY, width, TOKEN_DEVIATION);
    matrix("positions.weight", form.window(), width, DEVIATION);
    for (int i = 0; i < form.layers(); i++) {
      String block = "blocks." + i + ".";
      norm(block + "attention.norm");
      layer(block + "attention.in", 3 * width, width);
      layer(block + "attention.out", width, width);
      norm(block + "mlp.norm");
      layer(block + "mlp.up", 4 * width, width);
      layer(block + "mlp.down", width, 4 * width);
    }
    norm("norm");
    matrix("head.weight", VOCABULARY, width, DEVIATION);
    future =
        torch
            .full(new long[] {form.window(), form.window()}, new Scalar(Double.NEGATIVE_INFINITY))
            .triu(1);
  }

  Form form() {
    return form;
  }

  /// The parameters by canonical name, in the order in which they were made.
  SequencedMap<String, Tensor> parameters() {
    return Collections.unmodifiableSequencedMap(parameters);
  }

  /// Number of parameters, counted in elements.
  long elements() {
    return parameters.values().stream().mapToLong(Tensor::numel).sum();
  }

  /// Mean cross entropy in nats, in training mode: dropout draws from libtorch's generator.
  ///
  /// @param inputs I64 `[batch, window]`, bytes
  /// @param targets I64 `[batch, window]`, the bytes that follow
  Tensor loss(Tensor inputs, Tensor targets) {
    Tensor x = dropout(torch.embedding(of("tokens.weight"), inputs).add(of("positions.weight")));
    for (int i = 0; i < form.layers(); i++) {
      String block = "blocks." + i + ".";
      x = x.add(dropout(attention(block + "attention.", x)));
      x = x.add(dropout(feedForward(block + "mlp.", x)));
    }
    Tensor logits = torch.linear(normed("norm", x), of("head.weight"));
    return torch.cross_entropy_loss(logits.view(-1, VOCABULARY), targets.reshape(-1));
  }

  private Tensor attention(String prefix, Tensor x) {
    long batch = x.size(0);
    long window = x.size(1);
    long each = form.width() / form.heads();
    Tensor three =
        linear(prefix + "in", normed(prefix + "norm", x))
            .view(batch, window, 3, form.heads(), each)
            .permute(2, 0, 3, 1, 4);
    Tensor query = three.select(0, 0);
    Tensor key = three.select(0, 1);
    Tensor value = three.select(0, 2);
    Tensor scores = query.matmul(key.transpose(-2, -1)).mul(new Scalar(1 / Math.sqrt(each)));
    Tensor weights = dropout(torch.softmax(scores.add(future), -1));
    Tensor mixed = weights.matmul(value).transpose(1, 2).reshape(batch, window, form.width());
    return linear(prefix + "out", mixed);
  }

  private Tensor feedForward(String prefix, Tensor x) {
    return linear(
        prefix + "down", torch.gelu(linear(prefix + "up", normed(prefix + "norm", x)), "tanh"));
  }

  private Tensor linear(String name, Tensor x) {
    return torch.linear(x, of(name + ".weight"), new TensorOptional(of(name + ".bias")));
  }

  private Tensor normed(String name, Tensor x) {
    return torch.layer_norm(
        x,
        new long[] {form.width()},
        new TensorOptional(of(name + ".weight")),
        new TensorOptional(of(name + ".bias")),
        NORM_EPSILON,
        false);
  }

  private Tensor dropout(Tensor x) {
    return torch.dropout(x, form.dropout(), true);
  }

  private Tensor of(String name) {
    Tensor tensor = parameters.get(name);
    if (tensor == null) {
      throw new IllegalArgumentException("no parameter " + name);
    }
    return tensor;
  }

  private void layer(String name, long outputs, long inputs) {
    matrix(name + ".weight", outputs, inputs, DEVIATION);
    add(name + ".bias", torch.zeros(outputs));
  }

  private void norm(String name) {
    add(name + ".weight", torch.ones(form.width()));
    add(name + ".bias", torch.zeros(form.width()));
  }

  private void matrix(String name, long rows, long columns, double deviation) {
    add(name, torch.randn(rows, columns).mul_(new Scalar(deviation)));
  }

  private void add(String name, Tensor tensor) {
    tensor.set_requires_grad(true);
    parameters.put(name, tensor);
  }
}
