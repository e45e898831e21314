package dev.keepstone.core.pickle;

import dev.keepstone.core.pickle.Value.Global;
import dev.keepstone.core.tensor.Dtype;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/// Names of torch that are data: storages, dtypes, classes of tensors.
final class TorchNames {
  /// What elements of a storage or dtype are.
  ///
  /// @param dtype of the tensor; bits and quantised integers are those of their stored form
  /// @param perByte elements in one byte, 1 where an element takes at least one
  record Elements(Dtype dtype, int perByte) {
    private Elements(Dtype dtype) {
      this(dtype, 1);
    }
  }

  static final String UNTYPED = "UntypedStorage";

  private static final Map<String, Elements> STORAGES =
      Map.ofEntries(
          Map.entry("DoubleStorage", new Elements(Dtype.F64)),
          Map.entry("FloatStorage", new Elements(Dtype.F32)),
          Map.entry("HalfStorage", new Elements(Dtype.F16)),
          Map.entry("BFloat16Storage", new Elements(Dtype.BF16)),
          Map.entry("LongStorage", new Elements(Dtype.I64)),
          Map.entry("IntStorage", new Elements(Dtype.I32)),
          Map.entry("ShortStorage", new Elements(Dtype.I16)),
          Map.entry("CharStorage", new Elements(Dtype.I8)),
          Map.entry("ByteStorage", new Elements(Dtype.U8)),
          Map.entry("BoolStorage", new Elements(Dtype.BOOL)),
          Map.entry("ComplexFloatStorage", new Elements(Dtype.C64)),
          Map.entry("ComplexDoubleStorage", new Elements(Dtype.C128)),
          Map.entry("QInt8Storage", new Elements(Dtype.I8)),
          Map.entry("QUInt8Storage", new Elements(Dtype.U8)),
          Map.entry("QInt32Storage", new Elements(Dtype.I32)),
          Map.entry("QUInt4x2Storage", new Elements(Dtype.U8, 2)),
          Map.entry("QUInt2x4Storage", new Elements(Dtype.U8, 4)),
          Map.entry(UNTYPED, new Elements(Dtype.U8)));

  private static final Map<String, Elements> DTYPES =
      Map.ofEntries(
          Map.entry("float64", new Elements(Dtype.F64)),
          Map.entry("float32", new Elements(Dtype.F32)),
          Map.entry("float16", new Elements(Dtype.F16)),
          Map.entry("bfloat16", new Elements(Dtype.BF16)),
          Map.entry("int64", new Elements(Dtype.I64)),
          Map.entry("int32", new Elements(Dtype.I32)),
          Map.entry("int16", new Elements(Dtype.I16)),
          Map.entry("int8", new Elements(Dtype.I8)),
          Map.entry("uint8", new Elements(Dtype.U8)),
          Map.entry("uint16", new Elements(Dtype.U16)),
          Map.entry("uint32", new Elements(Dtype.U32)),
          Map.entry("uint64", new Elements(Dtype.U64)),
          Map.entry("bool", new Elements(Dtype.BOOL)),
          Map.entry("complex32", new Elements(Dtype.C32)),
          Map.entry("complex64", new Elements(Dtype.C64)),
          Map.entry("complex128", new Elements(Dtype.C128)),
          Map.entry("float8_e4m3fn", new Elements(Dtype.F8_E4M3)),
          Map.entry("float8_e5m2", new Elements(Dtype.F8_E5M2)),
          Map.entry("float8_e4m3fnuz", new Elements(Dtype.F8_E4M3FNUZ)),
          Map.entry("float8_e5m2fnuz", new Elements(Dtype.F8_E5M2FNUZ)),
          Map.entry("float8_e8m0fnu", new Elements(Dtype.F8_E8M0)),
          Map.entry("float4_e2m1fn_x2", new Elements(Dtype.F4)),
          Map.entry("bits8", new Elements(Dtype.U8)),
          Map.entry("bits1x8", new Elements(Dtype.U8)),
          Map.entry("bits2x4", new Elements(Dtype.U8)),
          Map.entry("bits4x2", new Elements(Dtype.U8)),
          Map.entry("bits16", new Elements(Dtype.U16)),
          Map.entry("qint8", new Elements(Dtype.I8)),
          Map.entry("quint8", new Elements(Dtype.U8)),
          Map.entry("qint32", new Elements(Dtype.I32)));

  /// Dtypes that are values only: no tensor of them can be saved by itself.
  private static final Set<String> DTYPES_WITHOUT_TENSORS =
      Set.of(
          "quint4x2",
          "quint2x4",
          "int1",
          "int2",
          "int3",
          "int4",
          "int5",
          "int6",
          "int7",
          "uint1",
          "uint2",
          "uint3",
          "uint4",
          "uint5",
          "uint6",
          "uint7");

  private static final Set<String> OTHER =
      Set.of(
          "Size",
          "Tensor",
          "per_tensor_affine",
          "per_channel_affine",
          "per_channel_affine_float_qparams",
          "per_tensor_symmetric",
          "per_channel_symmetric",
          "strided",
          "contiguous_format",
          "preserve_format",
          "channels_last",
          "channels_last_3d");

  private TorchNames() {}

  static boolean isKnown(Global global) {
    String module = global.module();
    String name = global.name();
    if (module.equals("torch") && (OTHER.contains(name) || isDtype(global))) {
      return true;
    }
    return storage(global).isPresent()
        || module.startsWith("torch.nn.parameter") && isClassOfTensors(name)
        || isTorch(module) && name.endsWith("Tensor");
  }

  private static boolean isClassOfTensors(String name) {
    return name.equals("Parameter") || name.equals("Buffer");
  }

  /// Whether a name is that of tensors as they are: torch's own, a parameter, a buffer.
  static boolean isPlainTensor(Global global) {
    return global.qualified().equals("torch.Tensor")
        || global.module().startsWith("torch.nn.parameter") && isClassOfTensors(global.name());
  }

  private static boolean isTorch(String module) {
    return module.equals("torch")
        || module.equals("torch.cuda")
        || module.equals("torch.sparse")
        || module.equals("torch.cuda.sparse")
        || module.equals("torch.storage");
  }

  static boolean isDtype(Global global) {
    return global.module().equals("torch")
        && (DTYPES.containsKey(global.name()) || DTYPES_WITHOUT_TENSORS.contains(global.name()));
  }

  /// What elements of a dtype are, where tensors of it can be saved.
  static Optional<Elements> dtype(Global global) {
    return global.module().equals("torch")
        ? Optional.ofNullable(DTYPES.get(global.name()))
        : Optional.empty();
  }

  /// What the elements of a storage are, by the name of its class.
  static Optional<Elements> storage(Global global) {
    return isTorch(global.module())
        ? Optional.ofNullable(STORAGES.get(global.name()))
        : Optional.empty();
  }
}
