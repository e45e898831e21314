package dev.keepstone.core.pickle;

import dev.keepstone.core.pickle.Value.Atom;
import dev.keepstone.core.pickle.Value.Global;
import dev.keepstone.core.pickle.Value.Made;
import dev.keepstone.core.state.StateNode;
import java.util.List;
import java.util.Map;
import java.util.Set;

/// What a pickle may name and call. Nothing is ever called; what is refused here is what no
/// checkpoint of data needs, so that who reads the refusal learns what somebody tried.
///
/// Known names are those that [Rebuild] builds data of. A call of anything else is let pass only
/// where it makes an object of a class, by Python's own way of naming: `module.Class`. Functions
/// beyond the known ones are refused, and so is every name of the modules that run, load or reach
/// something, whatever is done with it.
///
/// @param strict whether classes beyond the known ones are refused too
record Globals(boolean strict) {
  /// Names of Python 2 for what has another name today.
  private static final Map<String, String> TODAY =
      Map.of(
          "builtins.long", "builtins.int",
          "builtins.xrange", "builtins.range",
          "builtins.unicode", "builtins.str",
          "builtins.unichr", "builtins.chr");

  private static final Set<String> FUNCTIONS =
      Set.of(
          "_codecs.encode",
          "builtins.bool",
          "builtins.bytearray",
          "builtins.bytes",
          "builtins.complex",
          "builtins.dict",
          "builtins.float",
          "builtins.frozenset",
          "builtins.getattr",
          "builtins.int",
          "builtins.list",
          "builtins.object",
          "builtins.range",
          "builtins.set",
          "builtins.slice",
          "builtins.str",
          "builtins.tuple",
          "builtins.type",
          "builtins.Ellipsis",
          "builtins.NotImplemented",
          "collections.Counter",
          "collections.OrderedDict",
          "collections.defaultdict",
          "collections.deque",
          "copyreg._reconstructor",
          "copyreg.__newobj__",
          "datetime.date",
          "datetime.datetime",
          "datetime.time",
          "datetime.timedelta",
          "datetime.timezone",
          "functools.partial",
          "re._compile",
          "types.SimpleNamespace",
          "uuid.UUID",
          "numpy.core.multiarray._reconstruct",
          "numpy.core.multiarray.scalar",
          "numpy.core.numeric._frombuffer",
          "numpy._core.multiarray._reconstruct",
          "numpy._core.multiarray.scalar",
          "numpy._core.numeric._frombuffer",
          "numpy.dtype",
          "numpy.ndarray",
          "numpy.ma.core._mareconstruct",
          "numpy.random._pickle.__bit_generator_ctor",
          "numpy.random._pickle.__generator_ctor",
          "numpy.random._pickle.__randomstate_ctor",
          "torch.device",
          "torch.serialization._get_layout",
          "torch._tensor._rebuild_from_type_v2",
          "torch.nested._internal.nested_tensor._rebuild_njt",
          "torch.distributed.remote_device._remote_device");

  /// Modules, and all that is in them, of which no name is data.
  private static final Set<String> NEVER =
      Set.of(
          "_ctypes",
          "_io",
          "_operator",
          "_pickle",
          "_posixsubprocess",
          "_socket",
          "_thread",
          "asyncio",
          "atexit",
          "bdb",
          "builtins",
          "cProfile",
          "cPickle",
          "code",
          "codeop",
          "commands",
          "concurrent",
          "copyreg",
          "ctypes",
          "dill",
          "distutils",
          "doctest",
          "ensurepip",
          "fileinput",
          "ftplib",
          "functools",
          "gc",
          "glob",
          "http",
          "idlelib",
          "imp",
          "importlib",
          "inspect",
          "io",
          "itertools",
          "joblib",
          "lib2to3",
          "linecache",
          "marshal",
          "mmap",
          "multiprocessing",
          "nt",
          "operator",
          "os",
          "pdb",
          "pickle",
          "pip",
          "pkgutil",
          "platform",
          "popen2",
          "posix",
          "posixpath",
          "profile",
          "pty",
          "pydoc",
          "requests",
          "runpy",
          "select",
          "setuptools",
          "shelve",
          "shutil",
          "signal",
          "site",
          "smtplib",
          "socket",
          "socketserver",
          "ssl",
          "subprocess",
          "sys",
          "tempfile",
          "threading",
          "timeit",
          "trace",
          "tty",
          "types",
          "unittest",
          "urllib",
          "urllib2",
          "uuid",
          "venv",
          "webbrowser",
          "xmlrpc",
          "zipimport");

  /// The same inside of libraries that have data too.
  private static final Set<String> NEVER_INSIDE =
      Set.of(
          "logging.config",
          "numpy.ctypeslib",
          "numpy.distutils",
          "numpy.f2py",
          "numpy.lib",
          "numpy.testing",
          "torch._dynamo",
          "torch._inductor",
          "torch.fx",
          "torch.hub",
          "torch.jit",
          "torch.package",
          "torch.serialization",
          "torch.storage._load_from_bytes",
          "torch.utils.cpp_extension",
          "torch.utils.data.datapipes");

  /// A name, as an opcode gives it.
  ///
  /// @throws dev.keepstone.core.failure.KeepstoneException.Refused where no checkpoint names it
  Global named(PickleInput input, String module, String name, long offset) {
    String today = module.equals("__builtin__") ? "builtins" : module;
    today = today.equals("copy_reg") ? "copyreg" : today;
    String renamed = TODAY.get(today + "." + name);
    Global global =
        new Global(
            today,
            renamed == null ? name : renamed.substring(renamed.lastIndexOf('.') + 1),
            offset);
    if (!isKnown(global) && (strict || isNever(global))) {
      throw refused(input, global, "names");
    }
    return global;
  }

  private static boolean isKnown(Global global) {
    String qualified = global.qualified();
    return FUNCTIONS.contains(qualified)
        || qualified.startsWith("torch._utils._rebuild_")
        || TorchNames.isKnown(global)
        || Paths.isPath(global);
  }

  private static boolean isNever(Global global) {
    String module = global.module();
    int dot = module.indexOf('.');
    if (NEVER.contains(dot < 0 ? module : module.substring(0, dot))) {
      return true;
    }
    String qualified = global.qualified();
    // A name with dots reaches through a class, or through one module into another, which a pickle
    // has no need for.
    int last = global.name().lastIndexOf('.');
    return NEVER_INSIDE.stream()
            .anyMatch(never -> qualified.equals(never) || qualified.startsWith(never + "."))
        || last >= 0
            && !List.of(global.name().split("\\.", -1)).stream().allMatch(Globals::isClass);
  }

  /// Whether a name is one of a class: `Name` or `_Name`.
  private static boolean isClass(String name) {
    int at = 0;
    while (at < name.length() && name.charAt(at) == '_') {
      at++;
    }
    return at < name.length() && Character.isUpperCase(name.codePointAt(at));
  }

  /// What is called: a name, or the attribute of a class that [Rebuild] takes for a name.
  ///
  /// @param asClass whether the opcode makes an object, which Python does with classes alone
  /// @throws dev.keepstone.core.failure.KeepstoneException.Refused where it is neither known nor a
  ///   class
  Global called(PickleInput input, Value function, List<Value> args, boolean asClass, long offset) {
    Global global =
        switch (function) {
          case Global named -> named;
          case Made made when isGetattr(made.function) -> attribute(input, made);
          case Value.Persistent(Value.Row(_, List<Value> id), _) when isModule(id) ->
              (Global) id.get(1);
          case Made _, Value.Atom _, Value.Raw _, Value.Row _, Value.Dict _, Value.Persistent _ ->
              throw input.refused("the pickle calls what has no name", offset);
        };
    if (isGetattr(global)) {
      attribute(input, new Made(global, args, offset));
    }
    String last = global.name().substring(global.name().lastIndexOf('.') + 1);
    if (!isKnown(global) && !asClass && !isClass(last)) {
      throw refused(input, global, "calls");
    }
    return global;
  }

  /// Whether an id stands for a class: saves of whole modules once carried its source beside it.
  private static boolean isModule(List<Value> id) {
    return id.size() >= 2
        && id.get(0) instanceof Atom(StateNode.Text(String word))
        && word.equals("module")
        && id.get(1) instanceof Global;
  }

  static boolean isGetattr(Global global) {
    return global.qualified().equals("builtins.getattr");
  }

  /// `getattr(module.Class, "NAME")` as the name `module.Class.NAME`.
  static Global attribute(PickleInput input, Made getattr) {
    if (getattr.args.size() == 2
        && getattr.args.get(0) instanceof Global type
        && isClass(type.name().substring(type.name().lastIndexOf('.') + 1))
        && getattr.args.get(1) instanceof Atom(StateNode.Text(String name))
        && !name.startsWith("_")
        && name.indexOf('.') < 0) {
      return new Global(type.module(), type.name() + "." + name, getattr.offset);
    }
    throw input.refused(
        "the pickle calls builtins.getattr on what is no member of a class", getattr.offset);
  }

  private RuntimeException refused(PickleInput input, Global global, String does) {
    return input.refused(
        "the pickle %s %s, which is not among the %s that build data"
            .formatted(does, shown(global), strict ? "names" : "functions and classes"),
        global.offset());
  }

  private static String shown(Global global) {
    String text = global.qualified().replaceAll("\\p{Cntrl}", "?");
    return text.length() > 120 ? text.substring(0, 120) + "…" : text;
  }
}
