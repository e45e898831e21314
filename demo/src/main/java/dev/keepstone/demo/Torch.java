package dev.keepstone.demo;

import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.openblas.global.openblas_nolapack;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;

/// What is global in libtorch: its threads and its default generator; and a tensor's bytes.
final class Torch {
  private static final String CACHE = "org.bytedeco.javacpp.cachedir";

  private Torch() {}

  /// Loads libtorch, once a process, and has it use one thread: sums then have one order, and equal
  /// seeds give equal bits. Its native libraries (445 MB) unpack on first use into a folder that
  /// outlives the build: `$XDG_CACHE_HOME/keepstone/javacpp`, else below `~/.cache`.
  static void begin() {
    if (System.getProperty(CACHE) == null) {
      String caches = System.getenv("XDG_CACHE_HOME");
      Path root =
          caches == null || caches.isEmpty()
              ? Path.of(System.getProperty("user.home"), ".cache")
              : Path.of(caches);
      System.setProperty(CACHE, root.resolve("keepstone").resolve("javacpp").toString());
    }
    torch.set_num_threads(1);
    // Matrix products are OpenBLAS's, which has threads of its own.
    openblas_nolapack.blas_set_num_threads(1);
  }

  /// `libtorch 2.10.0`.
  static String version() {
    String version = torch.class.getPackage().getImplementationVersion();
    return version == null ? "libtorch" : "libtorch " + version.replaceFirst("-.*", "");
  }

  static void seed(long seed) {
    torch.manual_seed(seed);
  }

  /// The state of the default generator, 5056 bytes: Mersenne Twister and the half of a normal
  /// pair.
  static byte[] generator() {
    try (var _ = new PointerScope()) {
      Tensor state = torch.getDefaultCPUGenerator().get_state();
      var bytes = new byte[(int) state.nbytes()];
      MemorySegment.ofArray(bytes).copyFrom(bytes(state));
      return bytes;
    }
  }

  /// Continues the default generator from a state taken by [#generator()].
  static void generator(byte[] taken) {
    try (var _ = new PointerScope()) {
      Tensor state = torch.getDefaultCPUGenerator().get_state();
      if (state.nbytes() != taken.length) {
        throw new IllegalArgumentException(
            "a generator's state has " + state.nbytes() + " bytes here, found " + taken.length);
      }
      bytes(state).copyFrom(MemorySegment.ofArray(taken));
      torch.getDefaultCPUGenerator().set_state(state);
    }
  }

  /// The bytes of a contiguous tensor where they lie, without a copy. The segment does not keep the
  /// tensor alive: who holds it holds the tensor.
  @SuppressWarnings("restricted")
  static MemorySegment bytes(Tensor tensor) {
    if (!tensor.is_contiguous()) {
      throw new IllegalArgumentException("a tensor of strides is not one run of bytes");
    }
    return MemorySegment.ofAddress(tensor.data_ptr().address()).reinterpret(tensor.nbytes());
  }
}
