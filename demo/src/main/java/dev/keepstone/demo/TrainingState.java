package dev.keepstone.demo;

import dev.keepstone.client.Source;
import dev.keepstone.core.json.Json;
import dev.keepstone.core.tensor.Dtype;
import dev.keepstone.core.tensor.Shape;
import dev.keepstone.core.tensor.Tensor;
import java.util.ArrayList;
import java.util.Base64;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SequencedMap;

/// The training's state in Keepstone's words: tensors with their bytes, and the state tree
/// (docs/spec/state-tree.md) of everything else.
///
/// ```
/// model      parameters by name
/// optimizer  state: exp_avg and exp_avg_sq by parameter; rates
/// step, data, generator     what changes with every step
/// ```
final class TrainingState {
  private static final String MODEL = "model";
  private static final String OPTIMIZER = "optimizer";

  private TrainingState() {}

  /// Every tensor of the training, where it lies.
  static List<Source> sources(Training training) {
    var sources = new ArrayList<Source>();
    add(sources, MODEL, training.transformer().parameters());
    add(sources, OPTIMIZER, training.adam().moments());
    return sources;
  }

  /// Every tensor by component and name.
  static Map<String, Source> named(List<Source> sources) {
    var named = new LinkedHashMap<String, Source>();
    for (Source source : sources) {
      named.put(key(source.component(), source.piece().tensor().name()), source);
    }
    return named;
  }

  /// The name under which [#named] has a tensor.
  static String key(String component, String tensor) {
    return component + "/" + tensor;
  }

  private static void add(
      List<Source> sources,
      String component,
      SequencedMap<String, org.bytedeco.pytorch.Tensor> tensors) {
    tensors.forEach((name, tensor) -> {
      var dimensions = new ArrayList<Long>();
      for (long i = 0; i < tensor.dim(); i++) {
        dimensions.add(tensor.size(i));
      }
      sources.add(
          Source.of(
              component, new Tensor(name, Dtype.F32, new Shape(dimensions)), Torch.bytes(tensor)));
    });
  }

  /// The tree with holes for [#values].
  static Json.Obj tree(Training training) {
    Json.Builder model = Json.object();
    Json.Builder moments = Json.object();
    for (String name : training.transformer().parameters().keySet()) {
      model.put(name, leaf(MODEL, name));
      moments.put(
          name,
          Json.object()
              .put("exp_avg", leaf(OPTIMIZER, name + ".exp_avg"))
              .put("exp_avg_sq", leaf(OPTIMIZER, name + ".exp_avg_sq"))
              .build());
    }
    AdamW.Rates rates = training.adam().rates();
    Json.Obj state =
        Json.object()
            .put(MODEL, model.build())
            .put(
                OPTIMIZER,
                Json.object()
                    .put("state", moments.build())
                    .put("lr", rates.learning())
                    .put("beta1", rates.beta1())
                    .put("beta2", rates.beta2())
                    .put("eps", rates.epsilon())
                    .put("weight_decay", rates.decay())
                    .build())
            .put("step", hole(0))
            .put("data", hole(1))
            .put("generator", hole(2))
            .build();
    return Json.object().put("state", state).put("keepstone", Json.object().build()).build();
  }

  /// What fills the holes of [#tree].
  static List<Json> values(Training.Progress progress) {
    Corpus.Position position = progress.position();
    return List.of(
        Json.of(progress.step()),
        Json.object()
            .put("seed", position.seed())
            .put("epoch", position.epoch())
            .put("next", position.next())
            .build(),
        Json.object()
            .put("~", "bytes")
            .put("v", Base64.getEncoder().encodeToString(progress.generator()))
            .build());
  }

  /// The progress in a tree without holes.
  ///
  /// @throws dev.keepstone.core.json.JsonException where it is not a tree of this trainer
  static Training.Progress progress(Json.Obj tree) {
    Json.Obj state = tree.object("state");
    Json.Obj data = state.object("data");
    return new Training.Progress(
        state.integer("step"),
        new Corpus.Position(
            data.integer("seed"), data.integer("epoch"), Math.toIntExact(data.integer("next"))),
        Base64.getDecoder().decode(state.object("generator").text("v")));
  }

  private static Json leaf(String component, String name) {
    return Json.object().put("~", "tensor").put("component", component).put("name", name).build();
  }

  private static Json hole(long index) {
    return Json.object().put("~", "hole").put("v", index).build();
  }
}
