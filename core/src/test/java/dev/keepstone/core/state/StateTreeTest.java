package dev.keepstone.core.state;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.keepstone.core.json.Json;
import dev.keepstone.core.json.JsonReader;
import dev.keepstone.core.json.JsonWriter;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;

class StateTreeTest {
  private static final Path SPEC =
      Path.of(System.getProperty("keepstone.root", ".."), "docs", "spec", "state-tree.md");

  /// Every row of the table in the specification, in the form a writer writes.
  static Stream<String> rows() {
    return Stream.of(
        "null",
        "true",
        "\"text ü 𝄞\"",
        "[]",
        "[1,[2]]",
        "{}",
        "{\"b\":1,\"a\":{\"c\":null}}",
        "9007199254740991",
        "-9007199254740991",
        "0.1",
        "-0.0",
        "1.0",
        "4.9E-324",
        "{'~':'int','v':'9007199254740992'}",
        "{'~':'int','v':'-123456789012345678901234567890'}",
        "{'~':'float','v':'nan'}",
        "{'~':'float','v':'inf'}",
        "{'~':'float','v':'-inf'}",
        "{'~':'float','v':'nan:7ff8000000000001'}",
        "{'~':'float','v':'nan:7ff0000000000001'}",
        "{'~':'float','v':'nan:fff8000000000000'}",
        "{'~':'complex','v':[1.0,-2.0]}",
        "{'~':'complex','v':[{'~':'float','v':'nan'},-0.0]}",
        "{'~':'bytes','v':'AAEC'}",
        "{'~':'bytes','v':''}",
        "{'~':'bytearray','v':'/w=='}",
        "{'~':'str','v':'7aCA'}",
        "{'~':'tuple','v':[1,{'~':'tuple','v':[]}]}",
        "{'~':'set','v':[1,'1']}",
        "{'~':'frozenset','v':[{'~':'frozenset','v':[]}]}",
        "{'~':'dict','v':[[1,'a'],[{'~':'tuple','v':[1,2]},'b'],[null,0]]}",
        "{'~':'dict','v':[['~',1]]}",
        "{'~':'odict','v':[['a',1]],'attrs':{'_metadata':{'':{'version':1}}}}",
        "{'~':'odict','v':[]}",
        "{'~':'counter','v':[['a',3],[2,1]]}",
        "{'~':'ddict','factory':'builtins.list','v':[['a',[]]]}",
        "{'~':'enum','type':'module.Colour','name':'RED'}",
        "{'~':'namedtuple','type':'module.Point','fields':['a','b'],'v':[1,[2]]}",
        "{'~':'path','v':'runs/1'}",
        "{'~':'dtype','of':'torch','v':'bfloat16'}",
        "{'~':'dtype','of':'numpy','v':'<f4'}",
        "{'~':'size','v':[2,3]}",
        "{'~':'device','v':'cuda:0'}",
        "{'~':'scalar','dtype':'<f8','v':'AAAAAAAA8D8='}",
        "{'~':'generator','of':'torch','v':{'~':'bytes','v':'AAEC'}}",
        "{'~':'generator','of':'numpy','v':{'bit_generator':'PCG64','state':{'inc':1}}}",
        "{'~':'generator','of':'python','v':{'~':'tuple','v':[3,{'~':'tuple','v':[1]},null]}}",
        "{'~':'tensor','component':'model','name':'layers.0.weight'}",
        "{'~':'tensor','component':'model','name':'w','like':'numpy'}",
        "{'~':'tensor','component':'rng','name':'torch','like':'bytes'}",
        "{'~':'tensor','component':'rng','name':'torch','like':'bytearray'}",
        "{'~':'tensor','component':'model','name':'w','parameter':true}",
        "{'~':'opaque','type':'module.Thing','v':{'a':1}}",
        "{'~':'hole','v':3}");
  }

  private static Json json(String text) {
    return JsonReader.read(text.replace('\'', '"').getBytes(UTF_8));
  }

  @ParameterizedTest
  @MethodSource("rows")
  void everyValueReadsBackToItself(String text) {
    StateNode node = StateTree.read(json(text));
    assertThat(JsonWriter.compact(StateTree.write(node))).isEqualTo(text.replace('\'', '"'));
    assertThat(StateTree.read(StateTree.write(node))).isEqualTo(node);
  }

  @Test
  void noWordOfTheSpecificationIsLeftOut() throws IOException {
    List<String> tested = words(String.join("\n", rows().toList()).replace('\'', '"'));
    assertThat(tested).containsAll(words(Files.readString(SPEC)));
  }

  private static List<String> words(String text) {
    return Pattern.compile("\"~\":\"([a-z]+)\"")
        .matcher(text)
        .results()
        .map(found -> found.group(1))
        .distinct()
        .toList();
  }

  @ParameterizedTest
  @CsvSource({
    "state-tree.md, state, tree",
    "store.md, state, tree",
    "segment.md, layout, state",
    "wire.md, register-request, state",
    "wire.md, open-answer, state"
  })
  void theExamplesOfTheSpecificationsAreReadAndWrittenBack(String file, String name, String field)
      throws IOException {
    Matcher example =
        Pattern.compile("<!-- example: " + name + " -->\\n```json\\n(.*?)```", Pattern.DOTALL)
            .matcher(Files.readString(SPEC.resolveSibling(file)));
    assertThat(example.find()).isTrue();
    Json tree = JsonReader.readObject(example.group(1).getBytes(UTF_8)).object(field);
    assertThat(StateTree.write(StateTree.read(tree))).isEqualTo(tree);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      textBlock =
          """
          {'a':[{'~':'wat','v':1}]}                       | state["a"][0]: unknown word "wat"
          {'v':1,'~':'int'}                               | state: expected "~" as the first key
          {'a':{'~':7}}                                   | state["a"]: field "~": expected a string
          {'a':{'~':'bytes'}}                             | state["a"]: field "v" is missing
          {'a':{'~':'bytes','v':'A'}}                     | state["a"]: field "v": expected base64
          {'a':{'~':'bytes','v':'AB=='}}                  | state["a"]: field "v": expected base64
          {'a':{'~':'bytes','v':'AA==','x':1}}            | state["a"]: unknown field "x"
          {'a':{'~':'int','v':'007'}}                     | state["a"]: expected an integer
          {'a':{'~':'int','v':'1e5'}}                     | state["a"]: expected an integer
          [9007199254740992]                              | state[0]: expected an integer of this size as
          [-9223372036854775808]                          | state[0]: expected an integer of this size as
          [9223372036854775808]                           | state[0]: expected an integer of this size as
          {'a':{'~':'float','v':'NaN'}}                   | state["a"]: expected nan, inf
          {'a':{'~':'float','v':'nan:3ff0000000000000'}}  | state["a"]: expected nan, inf
          {'a':{'~':'complex','v':[1,2]}}                 | state["a"]: expected two floats
          {'a':{'~':'str','v':'wMA='}}                    | state["a"]: expected UTF-8
          {'a':{'~':'tuple','v':{}}}                      | state["a"]: field "v": expected an array
          {'~':'dict','v':[[1]]}                          | state: expected pairs
          {'~':'dict','v':[[1,{'~':'wat'}]]}              | state[1]: unknown word
          {'~':'dict','v':[[1,2],[1,3]]}                  | state: the key 1 stands twice
          {'~':'dict','v':[[1,2],[true,3]]}               | state: the key True stands twice
          {'~':'dict','v':[[1.0,2],[true,3]]}             | state: the key True stands twice
          {'~':'dict','v':[[[1],2]]}                      | state: expected keys and members that Python can hash
          {'~':'set','v':[{}]}                            | state: expected keys and members that Python can hash
          {'~':'set','v':['a','a']}                       | state: the key "a" stands twice
          {'~':'odict','v':[],'attrs':[]}                 | state: field "attrs": expected an object
          {'~':'odict','v':[],'attrs':{'m':{'~':'x'}}}    | state.m: unknown word
          {'~':'namedtuple','type':'T','fields':['a'],'v':[]} | state: expected as many values as fields
          {'~':'namedtuple','type':'T','fields':[1],'v':[1]}  | state: field "fields": expected strings
          {'~':'dtype','of':'jax','v':'f4'}               | state: field "of": expected torch or numpy
          {'~':'size','v':[1.5]}                          | state: expected integers
          {'~':'generator','of':'torch','v':{'~':'x'}}    | state.state: unknown word
          {'~':'tensor','component':'m','name':'w','like':'tf'} | state: field "like": expected
          {'~':'hole','v':-1}                             | state: expected the index
          ['\\ud800']                                      | state[0]: expected a string with lone surrogates as
          """)
  void whatIsNoStateTreeIsRefusedByPath(String text, String message) {
    assertThatThrownBy(() -> StateTree.read(json(text)))
        .isInstanceOf(StateTreeException.class)
        .hasMessageStartingWith(message);
  }

  @Test
  void depthIsBoundedOnBothWays() {
    String deepest = "[".repeat(255) + "1" + "]".repeat(255);
    assertThat(JsonWriter.compact(StateTree.write(StateTree.read(json(deepest)))))
        .isEqualTo(deepest);
    String tooDeep = "[".repeat(256) + "1" + "]".repeat(256);
    assertThatThrownBy(() -> StateTree.read(json(tooDeep)))
        .hasMessageStartingWith("state[0][0]")
        .hasMessageEndingWith("expected at most 256 levels");
    StateNode node = new StateNode.Null();
    for (int i = 0; i < 256; i++) {
      node = new StateNode.Opaque("T", node);
    }
    StateNode deep = node;
    assertThatThrownBy(() -> StateTree.write(deep))
        .hasMessageEndingWith("expected at most 256 levels");
  }

  @Test
  void longIntegersAreBounded() {
    assertThatThrownBy(() -> StateTree.read(json("{'~':'int','v':'" + "1".repeat(4301) + "'}")))
        .hasMessageContaining("at most 4300 digits");
  }

  @Test
  void aDeepDictOfPairsStaysBelowTheReadersOwnLimit() {
    StateNode node = StateNode.Int.of(1);
    for (int i = 0; i < 255; i++) {
      node = StateNode.Mapping.dict(List.of(new StateNode.Entry(StateNode.Int.of(1), node)));
    }
    byte[] bytes = JsonWriter.bytes(StateTree.write(node));
    assertThat(StateTree.read(JsonReader.read(bytes))).isEqualTo(node);
  }

  @Test
  void twoEqualKeysAreNotWritten() {
    StateNode.Entry entry = new StateNode.Entry(new StateNode.Text("a"), StateNode.Int.of(1));
    assertThatThrownBy(() -> StateTree.write(StateNode.Mapping.dict(List.of(entry, entry))))
        .hasMessage("state: the key \"a\" stands twice");
  }

  @Test
  void holesAreFilledWithTheValuesOfTheirIndex() {
    Json template = json("{'a':[{'~':'hole','v':1},2],'b':{'~':'tuple','v':[{'~':'hole','v':0}]}}");
    Json.Array values = (Json.Array) json("[{'~':'bytes','v':'AA=='},{'x':null}]");
    Json filled = json("{'a':[{'x':null},2],'b':{'~':'tuple','v':[{'~':'bytes','v':'AA=='}]}}");
    assertThat(StateTree.fillJson(template, values)).isEqualTo(filled);
    assertThat(
            StateTree.fill(
                StateTree.read(template), values.values().stream().map(StateTree::read).toList()))
        .isEqualTo(StateTree.read(filled));
  }

  @Test
  void holesAndValuesMustMatch() {
    Json template = json("[{'~':'hole','v':1}]");
    assertThatThrownBy(() -> StateTree.fillJson(template, Json.array(List.of(Json.NULL))))
        .isInstanceOf(StateTreeException.class)
        .hasMessageContaining("expected a hole of 0 to 0");
    assertThatThrownBy(
            () -> StateTree.fillJson(template, Json.array(List.of(Json.NULL, Json.NULL))))
        .hasMessageContaining("value 0 of 2 has no hole");
  }

  @Test
  void valuesOfADictAreFoundByKey() {
    StateNode.Mapping mapping =
        new StateNode.Mapping(
            StateNode.Mapping.Kind.ODICT,
            List.of(new StateNode.Entry(new StateNode.Text("a"), StateNode.Int.of(1))),
            Map.of(),
            null);
    assertThat(mapping.get("a")).isEqualTo(StateNode.Int.of(1));
    assertThat(mapping.get("b")).isNull();
  }
}
